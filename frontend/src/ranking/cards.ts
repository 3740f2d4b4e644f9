// The answers to read: one card each, in the order shown, with its letter and its place.
import type { Presentation } from "../api/assignments.ts";
import { el } from "../components/dom.ts";
import { gettext, interpolate } from "../components/i18n.ts";
import { renderText } from "../components/text.ts";
import { isComplete, letterOf, placeOf, type Order } from "./order.ts";
import { placeLabel } from "./sentences.ts";

export interface CardActions {
  toggle(id: number): void;
  tie(id: number): void;
}

export class Cards {
  readonly #box: HTMLElement;
  readonly #actions: CardActions;
  #cards = new Map<number, Card>();

  constructor(box: HTMLElement, actions: CardActions) {
    this.#box = box;
    this.#actions = actions;
  }

  /** `notes` stand in the heads of the cards. */
  open(task: Presentation, order: Order, notes: ReadonlyMap<number, string>): void {
    this.#cards = new Map(
      task.completions.map(({ id, text }) => [
        id,
        new Card(id, letterOf(order, id), text, notes.get(id) ?? "", this.#actions),
      ]),
    );
    this.#box.replaceChildren(...[...this.#cards.values()].map((card) => card.element));
  }

  clear(): void {
    this.#cards.clear();
    this.#box.replaceChildren();
  }

  update(order: Order): void {
    for (const card of this.#cards.values()) card.update(order);
  }

  focus(id: number): void {
    this.#cards.get(id)?.focus();
  }
}

class Card {
  readonly element: HTMLElement;
  readonly #id: number;
  readonly #letter: HTMLButtonElement;
  readonly #place: HTMLElement;
  readonly #tie: HTMLButtonElement;

  constructor(id: number, letter: string, text: string, note: string, actions: CardActions) {
    this.#id = id;
    this.#letter = el("button", { type: "button", class: "letter", "data-answer": id }, letter);
    this.#place = el("span", { class: "card-place" });
    this.#tie = el("button", { type: "button", class: "button small quiet" });
    const own = note ? [el("span", { class: "card-note" }, note)] : [];
    const head = el("header", { class: "card-head" }, this.#letter, this.#place, ...own, this.#tie);
    const body = el("div", { class: "prose", id: `answer-${id}` });
    renderText(body, text);
    this.#letter.setAttribute("aria-describedby", body.id);
    this.element = el("article", { class: "card", "data-drag": id }, head, body);
    this.#tie.addEventListener("click", () => actions.tie(id));
    this.element.addEventListener("click", (event) => this.#clicked(event, actions));
  }

  update(order: Order): void {
    const at = placeOf(order, this.#id);
    const label = placeLabel(order, this.#id);
    this.element.classList.toggle("placed", at !== null);
    this.element.classList.toggle("best", at?.number === 1);
    this.#place.textContent = label;
    this.#letter.setAttribute("aria-pressed", String(at !== null));
    this.#letter.setAttribute(
      "aria-label",
      interpolate(gettext("Answer %(letter)s. %(place)s"), {
        letter: letterOf(order, this.#id),
        place: label,
      }),
    );
    this.#tie.hidden = at !== null || order.groups.length === 0 || isComplete(order);
    const letters = (order.groups.at(-1) ?? []).map((id) => letterOf(order, id));
    this.#tie.textContent = interpolate(gettext("= Tie with %(letters)s"), {
      letters: letters.join(gettext(", ")),
    });
  }

  focus(): void {
    this.#letter.focus();
  }

  /** Anywhere on the card counts, except its other buttons and text being selected. */
  #clicked(event: MouseEvent, actions: CardActions): void {
    const button = (event.target as HTMLElement).closest("button");
    if (button && button !== this.#letter) return;
    if (window.getSelection()?.isCollapsed === false) return;
    actions.toggle(this.#id);
  }
}
