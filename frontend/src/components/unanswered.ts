// What went out and got no answer: stored or not, nobody here knows.

export class Unanswered {
  #task = 0;
  readonly #said = new Set<string>();

  /** This judgement of the task was sent, and no answer came. */
  add(task: number, payload: object): void {
    if (task !== this.#task) this.clear();
    this.#task = task;
    this.#said.add(saidIn(payload));
  }

  has(task: number): boolean {
    return task === this.#task && this.#said.size > 0;
  }

  /** If one of them was stored, then it said just this. */
  isOnly(payload: object): boolean {
    return this.#said.size === 1 && this.#said.has(saidIn(payload));
  }

  clear(): void {
    this.#task = 0;
    this.#said.clear();
  }
}

/** Time goes on between two tries; what is said does not change by it. */
function saidIn(payload: object): string {
  return JSON.stringify({ ...payload, seconds_spent: 0 });
}
