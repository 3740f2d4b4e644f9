// Renews the reservation of a task while the person is at work on it.
import * as api from "../api/assignments.ts";
import { ApiError } from "../api/client.ts";

const SHORTEST_MS = 10_000;
const LONGEST_MS = 5 * 60_000;

export class Lease {
  readonly #onLost: (error: ApiError) => void;
  #timer = 0;
  #active = false;
  #interval = LONGEST_MS;

  constructor(onLost: (error: ApiError) => void) {
    this.#onLost = onLost;
  }

  start(assignment: number, expiresAt: string): void {
    this.stop();
    const left = new Date(expiresAt).getTime() - Date.now();
    this.#interval = Math.min(Math.max(left / 3, SHORTEST_MS), LONGEST_MS);
    this.#timer = window.setInterval(() => void this.#beat(assignment), this.#interval);
  }

  stop(): void {
    window.clearInterval(this.#timer);
  }

  /** Without a sign of life the reservation runs out, and someone else gets the task. */
  touch(): void {
    this.#active = true;
  }

  async #beat(assignment: number): Promise<void> {
    if (!this.#active) return;
    this.#active = false;
    try {
      await api.renew(assignment);
    } catch (error) {
      // An unreachable server is no lost lease: the next beat tries again.
      if (error instanceof ApiError && [404, 409].includes(error.status)) this.#lost(error);
    }
  }

  #lost(error: ApiError): void {
    this.stop();
    this.#onLost(error);
  }
}
