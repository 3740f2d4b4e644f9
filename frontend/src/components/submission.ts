// Hands a judgement in, once, however often an answer is lost on the way.
import * as api from "../api/assignments.ts";
import { ApiError } from "../api/client.ts";
import { isPassing } from "./retry.ts";
import { Unanswered } from "./unanswered.ts";

/** An earlier try is stored for good, so that what was written since has no place any more. */
export class KeptFirst extends Error {
  readonly refusal: ApiError;

  constructor(refusal: ApiError) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

export class Submission {
  readonly #unanswered = new Unanswered();

  /** A try went out, and what became of it is not known. */
  isOpen(task: number): boolean {
    return this.#unanswered.has(task);
  }

  /** Resolves with whether an earlier try had stored it. Rejects with ApiError or KeptFirst. */
  async send(task: number, payload: object): Promise<boolean> {
    const wasStored = await this.#store(task, payload);
    this.#unanswered.clear();
    return wasStored;
  }

  async #store(task: number, payload: object): Promise<boolean> {
    try {
      await api.submit(task, payload);
      return false;
    } catch (error) {
      if (isPassing(error)) this.#unanswered.add(task, payload);
      if (!isStored(error) || !this.isOpen(task)) throw error;
    }
    // An earlier try was stored, and only its answer lost: nothing is doubled, nothing is wrong.
    if (this.#unanswered.isOnly(payload)) return true;
    await this.#makeRoom(task);
    return this.#store(task, payload);
  }

  /** The person has written on since, so what is stored is taken back. */
  async #makeRoom(task: number): Promise<void> {
    try {
      await api.undo(task);
    } catch (error) {
      const isRefused = error instanceof ApiError && error.code === "undo_refused";
      throw isRefused ? new KeptFirst(error) : error;
    }
    this.#unanswered.clear();
  }
}

function isStored(error: unknown): boolean {
  return error instanceof ApiError && error.code === "assignment_already_submitted";
}
