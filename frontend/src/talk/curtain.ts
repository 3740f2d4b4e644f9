// Hides the replies until all of them are written: one bar for all, because speed and length of
// each would tell the models apart.
import type { Turn } from "../api/turns.ts";
import { find } from "../components/dom.ts";
import { gettext } from "../components/i18n.ts";
import { isWaiting } from "./tree.ts";

const LONG_MS = 30_000;

export class Curtain {
  readonly #box: HTMLElement;
  readonly #bar: HTMLProgressElement;
  readonly #words: HTMLElement;
  readonly #long: HTMLElement;
  #turn = 0;
  #since = 0;

  constructor(box: HTMLElement) {
    this.#box = box;
    this.#bar = find<HTMLProgressElement>("progress", box);
    this.#words = find("[data-curtain-words]", box);
    this.#long = find("[data-curtain-long]", box);
  }

  draw(turn: Turn | null): void {
    const waiting = turn !== null && isWaiting(turn);
    this.#box.hidden = !waiting;
    if (!waiting) return;
    if (this.#turn !== turn.id) this.#since = performance.now();
    this.#turn = turn.id;
    const { status, progress } = turn.reply_state;
    if (progress > 0) this.#bar.value = progress;
    else this.#bar.removeAttribute("value");
    this.#words.textContent =
      status === "running" ? gettext("Being written…") : gettext("Waiting for the model…");
    this.#long.hidden = performance.now() - this.#since < LONG_MS;
  }
}
