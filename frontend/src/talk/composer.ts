// A text field that sends with Enter, keeps what was typed until it arrived, and says when it is
// too long.
import { find, isComposing, isTyping } from "../components/dom.ts";
import { gettext, interpolate } from "../components/i18n.ts";
import { sends } from "./keys.ts";

const MAX_CHARACTERS = 32_000;
const NEARLY_FULL = 0.95;

export interface ComposerActions {
  changed(): void;
  send(text: string): void;
}

export class Composer {
  readonly box: HTMLElement;
  readonly #text: HTMLTextAreaElement;
  readonly #send: HTMLButtonElement;
  readonly #counter: HTMLElement;
  readonly #actions: ComposerActions;
  #busy = false;

  constructor(box: HTMLElement, actions: ComposerActions) {
    this.box = box;
    this.#actions = actions;
    this.#text = find<HTMLTextAreaElement>("textarea", box);
    this.#send = find<HTMLButtonElement>("[data-send]", box);
    this.#counter = find("[data-counter]", box);
    this.#text.addEventListener("input", () => this.#typed());
    this.#text.addEventListener("keydown", (event) => this.#key(event));
    this.#send.addEventListener("click", () => this.send());
  }

  get text(): string {
    return this.#text.value;
  }

  set text(text: string) {
    this.#text.value = text;
    this.#draw();
  }

  /** As if it were typed: the browser's own undo brings back what was there. */
  replace(text: string): void {
    // Somebody who types elsewhere, or in a dialog, goes on doing so.
    if (!isTyping(document.activeElement)) this.#text.focus({ preventScroll: true });
    const isHere = document.activeElement === this.#text;
    if (isHere) this.#text.select();
    if (!isHere || !document.execCommand("insertText", false, text)) this.#text.value = text;
    this.#draw();
  }

  get isEmpty(): boolean {
    return this.text.trim() === "";
  }

  /** To the end of what is there. */
  focus(): void {
    this.#text.focus({ preventScroll: true });
    this.#text.setSelectionRange(this.text.length, this.text.length);
    this.box.scrollIntoView({ block: "nearest" });
  }

  busy(busy: boolean): void {
    this.#busy = busy;
    this.#text.readOnly = busy;
    this.#send.classList.toggle("busy", busy);
    this.#send.setAttribute("aria-busy", String(busy));
  }

  send(): void {
    if (!this.#busy && this.#fits()) this.#actions.send(this.text.trim());
  }

  #typed(): void {
    this.#draw();
    this.#actions.changed();
  }

  #key(event: KeyboardEvent): void {
    if (isComposing(event)) return;
    if (event.key === "Escape") this.#text.blur();
    else if (sends(event) && !isTouch()) this.send();
    else return;
    event.preventDefault();
  }

  #fits(): boolean {
    return !this.isEmpty && this.text.length <= MAX_CHARACTERS;
  }

  #draw(): void {
    this.#send.setAttribute("aria-disabled", String(!this.#fits()));
    const nearlyFull = this.text.length > MAX_CHARACTERS * NEARLY_FULL;
    this.#counter.textContent = nearlyFull ? lengthWords(this.text.length) : "";
  }
}

/** On a phone Enter makes a new line, as there is no Shift to hold; the button sends. */
function isTouch(): boolean {
  return window.matchMedia("(hover: none)").matches;
}

function lengthWords(length: number): string {
  return interpolate(gettext("%(length)s of %(most)s characters"), {
    length: length.toLocaleString(document.documentElement.lang),
    most: MAX_CHARACTERS.toLocaleString(document.documentElement.lang),
  });
}
