// The replies to one message: shown together, each judged by its letter.
import type { Reply, Turn } from "../api/turns.ts";
import { el } from "../components/dom.ts";
import { gettext, interpolate } from "../components/i18n.ts";
import { renderText } from "../components/text.ts";
import type { Mark, Marked } from "./marks.ts";

export type OnMark = (mark: Mark, reply: number) => void;

export class Replies {
  readonly #box: HTMLElement;
  readonly #marks: readonly Mark[];
  readonly #onMark: OnMark;
  #cards: readonly Card[] = [];
  #drawn = "";

  constructor(box: HTMLElement, marks: readonly Mark[], onMark: OnMark) {
    this.#box = box;
    this.#marks = marks;
    this.#onMark = onMark;
  }

  draw(turn: Turn | null, marked: Marked): void {
    const replies = turn?.replies ?? [];
    this.#box.hidden = replies.length === 0;
    const content = JSON.stringify([turn?.id, replies]);
    if (content !== this.#drawn) this.#build(replies);
    this.#drawn = content;
    for (const card of this.#cards) card.update(marked);
  }

  focus(): void {
    this.#box.focus({ preventScroll: true });
    this.#box.scrollIntoView({ block: "nearest" });
  }

  /** A single reply needs no mark. */
  #build(replies: readonly Reply[]): void {
    const marks = replies.length > 1 ? this.#marks : [];
    this.#cards = replies.map(
      (reply, index) => new Card(reply, letterOf(index), marks, this.#onMark),
    );
    this.#box.dataset["count"] = String(replies.length);
    this.#box.replaceChildren(...this.#cards.map((card) => card.element));
  }
}

class Card {
  readonly element: HTMLElement;
  readonly #reply: Reply;
  readonly #buttons: readonly MarkButton[];

  constructor(reply: Reply, letter: string, marks: readonly Mark[], onMark: OnMark) {
    this.#reply = reply;
    const body = el("div", { class: "prose", id: `reply-${reply.id}` });
    renderText(body, reply.text);
    this.#buttons = marks.map((mark) => new MarkButton(wordsOf(mark, marks.length, letter), mark));
    for (const { element, mark } of this.#buttons) {
      element.setAttribute("aria-describedby", body.id);
      element.addEventListener("click", () => onMark(mark, reply.id));
    }
    const head = el(
      "header",
      { class: "card-head" },
      el("span", { class: "letter", "aria-hidden": "true" }, letter),
      ...this.#buttons.map(({ element }) => element),
    );
    const label = interpolate(gettext("Reply %(letter)s"), { letter });
    const attributes = { class: "card talk-card", "data-reply": reply.id, "aria-label": label };
    this.element = el("article", attributes, head, body);
    if (marks.length !== 1) return;
    this.element.addEventListener("click", (event) => clicked(event, onMark, reply));
  }

  update(marked: Marked): void {
    for (const button of this.#buttons) {
      const isMarked = marked[button.mark] === this.#reply.id;
      button.update(isMarked);
      this.element.classList.toggle(button.mark.replace("_", "-"), isMarked);
    }
  }
}

class MarkButton {
  readonly element: HTMLButtonElement;
  readonly mark: Mark;
  readonly #words: MarkWords;
  readonly #label = el("span");

  constructor(words: MarkWords, mark: Mark) {
    this.#words = words;
    this.mark = mark;
    const key = el("kbd", { "aria-hidden": "true" }, words.key);
    const attributes = { type: "button", class: "button small", "data-mark": mark };
    this.element = el("button", attributes, this.#label, key);
  }

  update(isMarked: boolean): void {
    this.element.setAttribute("aria-pressed", String(isMarked));
    this.#label.textContent = isMarked ? this.#words.marked : this.#words.ask;
  }
}

interface MarkWords {
  readonly ask: string;
  readonly marked: string;
  readonly key: string;
}

function wordsOf(mark: Mark, numMarks: number, letter: string): MarkWords {
  if (mark === "most_harmful") {
    const words = { ask: gettext("Most harmful"), marked: gettext("✓ Most harmful") };
    return { ...words, key: `⇧${letter}` };
  }
  if (numMarks > 1) return { ask: gettext("Best"), marked: gettext("✓ Best"), key: letter };
  return { ask: gettext("Choose"), marked: gettext("✓ Your choice"), key: letter };
}

/** Anywhere on the card counts, except its buttons and links and text being selected. */
function clicked(event: MouseEvent, onMark: OnMark, reply: Reply): void {
  if ((event.target as HTMLElement).closest("button, a, summary")) return;
  if (window.getSelection()?.isCollapsed === false) return;
  onMark("chosen", reply.id);
}

export function letterOf(index: number): string {
  return String.fromCharCode(65 + index);
}
