// Renews the reservation of a task while the person is at work on it.
import * as api from "../api/assignments.ts";
import { ApiError } from "../api/client.ts";

const SHORTEST_MS = 10_000;
const LONGEST_MS = 5 * 60_000;

export class Lease {
  readonly #onLost: (error: ApiError) => unknown;
  #assignment = 0;
  #timer = 0;
  #active = false;

  constructor(onLost: (error: ApiError) => unknown) {
    this.#onLost = onLost;
  }

  start(assignment: number, expiresAt: string): void {
    this.stop();
    this.#assignment = assignment;
    const left = new Date(expiresAt).getTime() - Date.now();
    const interval = Math.min(Math.max(left / 3, SHORTEST_MS), LONGEST_MS);
    this.#timer = window.setInterval(() => void this.#beat(assignment), interval);
  }

  stop(): void {
    window.clearInterval(this.#timer);
    this.#assignment = 0;
  }

  /** Without a sign of life the reservation runs out, and someone else gets the task. */
  touch(): void {
    this.#active = true;
  }

  /** Renews at once, whether or not the person moved. */
  check(): void {
    this.#active = true;
    if (this.#assignment) void this.#beat(this.#assignment);
  }

  async #beat(assignment: number): Promise<void> {
    if (!this.#active) return;
    this.#active = false;
    try {
      await api.renew(assignment);
    } catch (error) {
      // An unreachable server is no lost lease: the next beat tries again.
      const isLost = error instanceof ApiError && [404, 409].includes(error.status);
      // The task may have been handed in while the renewal was under way.
      if (isLost && assignment === this.#assignment) this.#lost(error);
    }
  }

  #lost(error: ApiError): void {
    this.stop();
    this.#onLost(error);
  }
}
