// Seconds a person really spent: the clock stops when the page is hidden or nothing moves.

const IDLE_AFTER_SECONDS = 60;

export class ActiveTimer {
  readonly #now: () => number;
  #last: number | null;
  #total: number;

  /** `spent`: what counted before. `now` gives seconds that never go back. */
  constructor(spent = 0, now: () => number = () => performance.now() / 1000) {
    this.#total = spent;
    this.#now = now;
    this.#last = now();
  }

  /** Something moved: the time since the last sign of life counts, up to the idle limit. */
  touch(): void {
    const now = this.#now();
    if (this.#last !== null) this.#total += Math.min(now - this.#last, IDLE_AFTER_SECONDS);
    this.#last = now;
  }

  pause(): void {
    if (this.#last === null) return;
    this.touch();
    this.#last = null;
  }

  seconds(): number {
    const open = this.#last === null ? 0 : Math.min(this.#now() - this.#last, IDLE_AFTER_SECONDS);
    return Math.round((this.#total + open) * 10) / 10;
  }
}
