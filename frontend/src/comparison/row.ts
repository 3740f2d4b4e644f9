// One row of the scale: a radio for each level, and for the tie where it stands beside.
import { el } from "../components/dom.ts";
import { gettext } from "../components/i18n.ts";
import { isSame, scaleOf, TIE, type Choice } from "./scale.ts";
import type { Asked } from "./state.ts";
import { choiceName } from "./words.ts";

export class ScaleRow {
  readonly element: HTMLElement;
  readonly #radios = new Map<HTMLButtonElement, Choice>();

  /** `name` is empty for the only row; `chosen` is told of clicks. */
  constructor(asked: Asked, name: string, chosen: (choice: Choice) => void) {
    const { levels } = asked;
    const places = scaleOf(levels).map((choice, index) =>
      this.#radio(choice, String(index + 1), levels, chosen),
    );
    const scale = el("div", { class: "scale-places" }, ...places);
    const beside = asked.tie && levels % 2 === 0;
    const tie = beside ? [this.#radio(TIE, gettext("Tie"), levels, chosen)] : [];
    const title = el("span", { class: "scale-name", dir: "auto" }, name);
    this.element = el("div", { class: "scale-row", role: "radiogroup" }, title, scale, ...tie);
    this.element.setAttribute("aria-label", name || gettext("Which answer is better?"));
    if (!name) title.remove();
    this.update(null);
  }

  /** Marks the choice; one radio of the row is its tab stop. */
  update(choice: Choice | null): void {
    const radios = [...this.#radios];
    const at = radios.find(([, place]) => choice !== null && isSame(place, choice))?.[0];
    for (const [radio] of radios) {
      radio.setAttribute("aria-checked", String(radio === at));
      radio.tabIndex = radio === (at ?? radios[0]?.[0]) ? 0 : -1;
    }
  }

  focus(): void {
    this.element.querySelector<HTMLElement>('[tabindex="0"]')?.focus({ preventScroll: true });
  }

  /** The choice one step further than `choice`, or than the radio in focus. */
  neighbor(choice: Choice | null, direction: -1 | 1): Choice | undefined {
    const places = [...this.#radios.values()];
    const from = choice ? places.findIndex((place) => isSame(place, choice)) : -1;
    if (from < 0) return places[direction < 0 ? places.length - 1 : 0];
    return places[from + direction];
  }

  #radio(
    choice: Choice,
    sign: string,
    levels: number,
    chosen: (choice: Choice) => void,
  ): HTMLButtonElement {
    const name = choiceName(choice, levels);
    const hidden = el("span", { class: "visually-hidden" }, ` ${name}`);
    const radio = el(
      "button",
      { type: "button", role: "radio", class: "scale-place", title: name },
      sign,
      hidden,
    );
    radio.dataset["better"] = choice.better === null ? "neither" : "AB"[choice.better];
    radio.addEventListener("click", () => chosen(choice));
    this.#radios.set(radio, choice);
    return radio;
  }
}
