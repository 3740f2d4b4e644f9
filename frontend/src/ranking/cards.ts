// The answers to read: one card each, in the order shown, with its letter and its place.
import type { Presentation } from "../api/assignments.ts";
import { el } from "../components/dom.ts";
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

  open(task: Presentation, order: Order): void {
    this.#cards = new Map(
      task.completions.map(({ id, text }) => [
        id,
        new Card(id, letterOf(order, id), text, this.#actions),
      ]),
    );
    this.#box.replaceChildren(...[...this.#cards.values()].map((card) => card.element));
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

  constructor(id: number, letter: string, text: string, actions: CardActions) {
    this.#id = id;
    this.#letter = el("button", { type: "button", class: "letter", "data-answer": id }, letter);
    this.#place = el("span", { class: "card-place" });
    this.#tie = el("button", { type: "button", class: "button small quiet" }, "Tie with last");
    const head = el("header", { class: "card-head" }, this.#letter, this.#place, this.#tie);
    const body = el("div", { class: "prose", dir: "auto", id: `answer-${id}` }, text);
    if (!text.trim()) body.replaceChildren(el("em", { class: "muted" }, "(an empty answer)"));
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
    this.#letter.setAttribute("aria-label", `Answer ${letterOf(order, this.#id)}. ${label}`);
    this.#tie.hidden = at !== null || order.groups.length === 0 || isComplete(order);
    const last = (order.groups.at(-1) ?? []).map((id) => letterOf(order, id)).join(", ");
    this.#tie.textContent = `= Tie with ${last}`;
  }

  focus(): void {
    this.#letter.focus();
    this.element.scrollIntoView({ block: "nearest" });
  }

  /** Anywhere on the card counts, except its other buttons and text being selected. */
  #clicked(event: MouseEvent, actions: CardActions): void {
    const button = (event.target as HTMLElement).closest("button");
    if (button && button !== this.#letter) return;
    if (window.getSelection()?.isCollapsed === false) return;
    actions.toggle(this.#id);
  }
}
