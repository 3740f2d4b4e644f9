// "Copy my text": what the person wrote goes to the clipboard, when it can go nowhere else.
import { gettext } from "./i18n.ts";
import type { WayOn } from "./problem.ts";

/** The way out for the words of a draft; none where there are no words. */
export function copying(draft: unknown): WayOn[] {
  const words = wordsOf(draft);
  if (!words) return [];
  const action = () => {
    void copy(words);
    return true;
  };
  return [{ label: gettext("Copy my text"), action }];
}

async function copy(words: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(words);
  } catch {
    // Over plain HTTP, as in a house's own network, browsers lend pages no clipboard.
    copySelected(words);
  }
}

function copySelected(words: string): void {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.value = words;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
}

// Many languages write without spaces, so words are told from the names of a choice by what no
// name has.
const NAME = /^[a-z0-9_]*$/;

/** The texts in it, without the structure. */
export function wordsOf(draft: unknown): string {
  if (typeof draft === "string") return NAME.test(draft.trim()) ? "" : draft;
  if (draft === null || typeof draft !== "object") return "";
  return Object.values(draft).map(wordsOf).filter(Boolean).join("\n\n");
}
