// Asks for the replies while somebody looks at the page: quickly at first, then more slowly.

const QUICK_MS = 400;
const SLOW_MS = 3_000;
const GROWTH = 1.15;

/** The wait before the next question, after the one that waited `last`. */
export function nextWait(last: number, moved: boolean): number {
  return moved ? QUICK_MS : Math.min(last * GROWTH, SLOW_MS);
}

export class Pace {
  /** Resolves with whether anything moved. */
  readonly #ask: () => Promise<boolean>;
  #timer = 0;
  #wait = QUICK_MS;
  #wanted = false;

  constructor(ask: () => Promise<boolean>) {
    this.#ask = ask;
    document.addEventListener("visibilitychange", () => this.#schedule());
  }

  want(wanted: boolean): void {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.#wait = QUICK_MS;
    this.#schedule();
  }

  #schedule(): void {
    window.clearTimeout(this.#timer);
    if (!this.#wanted || document.hidden) return;
    this.#timer = window.setTimeout(() => void this.#turn(), this.#wait);
  }

  async #turn(): Promise<void> {
    // Without an answer the next question is as good: it only comes later.
    const moved = await this.#ask().catch(() => false);
    this.#wait = nextWait(this.#wait, moved);
    this.#schedule();
  }
}
