// The keys that every kind's page shares.
import { find, isTyping } from "./dom.ts";

export interface PageCommands {
  undo(): boolean;
  raw(): boolean;
  layout(): boolean;
}

/** What needs a task in view. */
export interface TaskCommands {
  skip(): boolean;
  guidelines(): boolean;
  differences(): boolean;
  flag(): boolean;
  report(): boolean;
}

/** Whether the key was one of them. In a text field none is; Esc leaves it. */
export function runKey(
  event: KeyboardEvent,
  page: PageCommands,
  task: TaskCommands | null,
): boolean {
  if (isTyping(event.target)) return leaveField(event);
  if (event.altKey || event.repeat) return false;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) return key === "z" && !event.shiftKey && page.undo();
  return runPageKey(key, page) || (task !== null && runTaskKey(key, task));
}

function runPageKey(key: string, commands: PageCommands): boolean {
  switch (key) {
    case "u":
      return commands.undo();
    case "?":
      return openKeys();
    case "r":
      return commands.raw();
    case "l":
      return commands.layout();
    default:
      return false;
  }
}

function runTaskKey(key: string, commands: TaskCommands): boolean {
  switch (key) {
    case "s":
      return commands.skip();
    case "g":
      return commands.guidelines();
    case "v":
      return commands.differences();
    case "f":
      return commands.flag();
    case "!":
      return commands.report();
    default:
      return false;
  }
}

function openKeys(): true {
  find<HTMLDialogElement>("#keys-dialog").showModal();
  return true;
}

function leaveField(event: KeyboardEvent): boolean {
  if (event.key !== "Escape") return false;
  (event.target as HTMLElement).blur();
  return true;
}
