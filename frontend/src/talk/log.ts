// What was said before, above the turn at hand; it can be folded away.
import type { Turn, Turns } from "../api/turns.ts";
import { el, find } from "../components/dom.ts";
import { interpolate, ngettext } from "../components/i18n.ts";
import { personMessage, replyMessage, type MessageActions } from "./messages.ts";
import { versionOf } from "./tree.ts";

export class Log {
  readonly #box = find<HTMLDetailsElement>("[data-past]");
  readonly #list = find("[data-log]");
  readonly #title = find("[data-past-title]");
  readonly #actions: MessageActions;
  readonly #continued: (turn: Turn) => string;
  #drawn = "";

  /** `continued` gives the reply that the conversation went on from. */
  constructor(actions: MessageActions, continued: (turn: Turn) => string) {
    this.#actions = actions;
    this.#continued = continued;
  }

  /** Folds what was said before away, or shows it again. */
  fold(): void {
    this.#box.open = !this.#box.open;
  }

  draw(turns: Turns, past: readonly Turn[]): void {
    this.#box.hidden = past.length === 0;
    const content = past.map((turn) => [turn.id, this.#continued(turn), versionOf(turns, turn).count]);
    // Folding, scroll and selection survive when nothing changed.
    if (this.#drawn === JSON.stringify(content)) return;
    this.#drawn = JSON.stringify(content);
    this.#title.textContent = title(past.length);
    this.#list.replaceChildren(...past.map((turn) => this.#item(turns, turn)));
  }

  #item(turns: Turns, turn: Turn): HTMLElement {
    const said = personMessage(turns, turn, this.#actions);
    return el("li", { class: "talk-turn" }, said, replyMessage(this.#continued(turn)));
  }
}

function title(count: number): string {
  const words = ngettext(
    "The conversation so far: %(count)s turn",
    "The conversation so far: %(count)s turns",
    count,
  );
  return interpolate(words, { count });
}
