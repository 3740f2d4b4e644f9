// One message of the conversation, with what can be done about it.
import type { Turn, Turns } from "../api/turns.ts";
import { el } from "../components/dom.ts";
import { gettext, interpolate } from "../components/i18n.ts";
import { renderText } from "../components/text.ts";
import { versionOf } from "./tree.ts";

export interface MessageActions {
  branch(turn: Turn): void;
  version(turn: Turn, step: -1 | 1): void;
}

export function personMessage(turns: Turns, turn: Turn, actions: MessageActions): HTMLElement {
  return el(
    "div",
    { class: "message", "data-role": "user", "data-turn": turn.id },
    head(gettext("You"), versions(turns, turn, actions), branchButton(turn, actions)),
    prose(turn.text),
  );
}

export function replyMessage(text: string): HTMLElement {
  return el(
    "div",
    { class: "message", "data-role": "assistant" },
    head(gettext("Assistant")),
    prose(text),
  );
}

function head(speaker: string, ...tools: Node[]): HTMLElement {
  return el("div", { class: "talk-head" }, el("span", { class: "speaker" }, speaker), ...tools);
}

function prose(text: string): HTMLElement {
  const box = el("div", { class: "prose" });
  renderText(box, text);
  return box;
}

function branchButton(turn: Turn, actions: MessageActions): HTMLElement {
  const button = el("button", { type: "button", class: "talk-tool" }, gettext("Branch here"));
  button.addEventListener("click", () => actions.branch(turn));
  return button;
}

/** "‹ 2 / 3 ›", where the person said or asked it more than once. */
function versions(turns: Turns, turn: Turn, actions: MessageActions): Node {
  const at = versionOf(turns, turn);
  if (at.count < 2) return document.createTextNode("");
  const step = (by: -1 | 1, sign: string, label: string) => {
    const end = by < 0 ? at.number === 1 : at.number === at.count;
    const button = el(
      "button",
      { type: "button", class: "talk-tool", "data-step": by, "aria-label": label, disabled: end },
      sign,
    );
    button.addEventListener("click", () => actions.version(turn, by));
    return button;
  };
  const label = interpolate(gettext("Version %(number)s of %(count)s"), at);
  return el(
    "span",
    { class: "talk-versions", role: "group", "aria-label": label },
    step(-1, "‹", gettext("Previous version")),
    el("span", { class: "number" }, `${at.number} / ${at.count}`),
    step(1, "›", gettext("Next version")),
  );
}
