// A part of the page that a button or a key opens beside the text: a preview, the changes.
import { find } from "../components/dom.ts";

const PAUSE_MS = 200;

export class Panel {
  readonly #button: HTMLButtonElement;
  readonly #box: HTMLElement;
  readonly #draw: (box: HTMLElement) => void;
  #timer = 0;

  /** `name` is the value of data-panel, and of data-panel-button on its button. */
  constructor(name: string, draw: (box: HTMLElement) => void) {
    this.#button = find<HTMLButtonElement>(`[data-panel-button="${name}"]`);
    this.#box = find(`[data-panel="${name}"]`);
    this.#draw = draw;
    this.#button.addEventListener("click", () => this.toggle());
  }

  get isOpen(): boolean {
    return !this.#box.hidden;
  }

  toggle(open = !this.isOpen): void {
    if (this.#button.hidden && open) return;
    this.#box.hidden = !open;
    this.#button.setAttribute("aria-expanded", String(open));
    if (open) this.#drawNow();
  }

  offer(offered: boolean): void {
    this.#button.hidden = !offered;
    if (!offered) this.toggle(false);
  }

  /** Draws again once the person pauses. */
  refresh(): void {
    if (!this.isOpen) return;
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#drawNow(), PAUSE_MS);
  }

  #drawNow(): void {
    window.clearTimeout(this.#timer);
    if (this.isOpen) this.#draw(find("[data-panel-text]", this.#box));
  }
}
