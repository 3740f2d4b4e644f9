// Tries again by itself while the server is away, with pauses that grow.
import { ApiError } from "../api/client.ts";

const PAUSES_SECONDS = [2, 4, 8, 15, 30];
const PASSING_STATUSES = new Set([0, 429, 502, 503, 504]);

/** The server may be fine a moment later, so that asking again is right and safe. */
export function isPassing(error: unknown): error is ApiError {
  return (
    error instanceof ApiError && error.code !== "page_error" && PASSING_STATUSES.has(error.status)
  );
}

export function pauseSeconds(error: ApiError, tries: number): number {
  const asked = Number(error.extra["retry_after_seconds"]);
  const own = PAUSES_SECONDS[Math.min(tries, PAUSES_SECONDS.length - 1)] ?? 30;
  return Number.isFinite(asked) ? Math.max(asked, own) : own;
}

export class Retry {
  #timer = 0;
  #tries = 0;
  #again: (() => void) | null = null;

  constructor() {
    // Back from logging in or from a tunnel: nobody wants to wait out the pause.
    window.addEventListener("online", () => this.now());
    document.addEventListener("visibilitychange", () => document.hidden || this.now());
  }

  /** Returns the seconds until the next try. */
  schedule(error: ApiError, again: () => void): number {
    this.cancel();
    const seconds = pauseSeconds(error, this.#tries);
    this.#tries += 1;
    this.#again = again;
    this.#timer = window.setTimeout(() => this.now(), seconds * 1000);
    return seconds;
  }

  /** Waits for the person to come back to this tab, as after a login in another one. */
  onReturn(again: () => void): void {
    this.cancel();
    this.#again = again;
  }

  now(): void {
    const again = this.#again;
    this.cancel();
    again?.();
  }

  cancel(): void {
    window.clearTimeout(this.#timer);
    this.#again = null;
  }

  /** It worked: the next trouble starts with a short pause again. */
  reset(): void {
    this.cancel();
    this.#tries = 0;
  }
}
