// One answer alone: its text, its number from 1 to 7 and the flags that hold for it.
import { el, find } from "../components/dom.ts";
import { gettext, interpolate } from "../components/i18n.ts";
import { renderText } from "../components/text.ts";
import { flagKey } from "./keys.ts";
import { MAX_RATING, type Flag, type Rating, type Walk } from "./state.ts";

// With more of them the panel is taller than a screen, and scrolls with the answer.
const FLAGS_IN_VIEW = 14;

export interface AloneActions {
  rate(overall: number): void;
  toggleFlag(name: string): void;
  next(): void;
  back(): void;
}

export class Alone {
  readonly #answer = find("[data-alone-answer]");
  readonly #title = find("[data-alone-title]");
  readonly #text = find("[data-alone-text]");
  readonly #next = find<HTMLButtonElement>("[data-next]");
  readonly #back = find<HTMLButtonElement>("[data-back]");
  readonly #numbers: readonly HTMLButtonElement[];
  readonly #actions: AloneActions;
  #flags = new Map<string, HTMLButtonElement>();

  constructor(actions: AloneActions) {
    this.#actions = actions;
    this.#numbers = Array.from({ length: MAX_RATING }, (_, index) => this.#number(index + 1));
    find("[data-overall]").replaceChildren(...this.#numbers);
    this.#next.addEventListener("click", () => actions.next());
    this.#back.addEventListener("click", () => actions.back());
  }

  /** Another task: its flags, which may be of another version. */
  open(flags: readonly Flag[]): void {
    this.#flags = new Map(flags.map((flag, index) => [flag.name, this.#flag(flag, index)]));
    find("[data-questions]").replaceChildren(...this.#flags.values());
    find("[data-alone-panel]").classList.toggle("long", flags.length > FLAGS_IN_VIEW);
  }

  /** Another answer comes into view; without one there is nothing left to compare by mistake. */
  show(letter: string, text: string | undefined): void {
    this.#title.textContent = interpolate(gettext("Answer %(letter)s"), { letter });
    if (text === undefined) this.#text.replaceChildren();
    else renderText(this.#text, text);
  }

  update(walk: Walk, rating: Rating): void {
    const at = rating.overall ?? 1;
    for (const [index, number] of this.#numbers.entries()) {
      number.setAttribute("aria-checked", String(rating.overall === index + 1));
      number.tabIndex = at === index + 1 ? 0 : -1;
    }
    for (const [name, flag] of this.#flags) {
      flag.setAttribute("aria-pressed", String(rating.flags.includes(name)));
    }
    const isLast = walk.at === walk.shown.length - 1;
    find("[data-next-words]").textContent = isLast
      ? gettext("Go on to the order")
      : gettext("Next answer");
    this.#next.setAttribute("aria-disabled", String(rating.overall === null));
    this.#back.hidden = walk.at === 0;
    find("[data-alone-why]").textContent =
      rating.overall === null ? gettext("Give it a number from 1 to 7.") : "";
  }

  focus(): void {
    this.#answer.focus({ preventScroll: true });
  }

  /** The one chosen, or the first. */
  focusNumber(): void {
    this.#numbers.find((number) => number.tabIndex === 0)?.focus();
  }

  #number(overall: number): HTMLButtonElement {
    const button = el(
      "button",
      { type: "button", role: "radio", class: "scale-place" },
      String(overall),
    );
    button.addEventListener("click", () => this.#actions.rate(overall));
    return button;
  }

  #flag({ name, question }: Flag, index: number): HTMLButtonElement {
    const key = flagKey(index);
    const keys = key ? [...(key.shift ? ["⇧"] : []), key.letter] : [];
    const words = el("span", { dir: "auto" }, question);
    const button = el("button", { type: "button", class: "question", "data-question": name }, words);
    if (key) button.append(el("kbd", { "aria-hidden": "true" }, keys.join("")));
    button.addEventListener("click", () => this.#actions.toggleFlag(name));
    return button;
  }
}
