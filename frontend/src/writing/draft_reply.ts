// Asks for a model's draft of the answer, and waits for it while the person goes on writing.
import { ApiError, apiCall } from "../api/client.ts";
import { failureOf, wordsOf } from "../components/problem.ts";
import type { ModelDraft } from "./draft_text.ts";

const LOOK_MS = 700;

export interface DraftState {
  readonly status: "none" | "queued" | "running" | "done" | "failed";
  readonly progress: number;
  readonly code: string;
  readonly error: string;
  readonly draft: ModelDraft | null;
}

export interface Listener {
  waiting(progress: number): void;
  arrived(draft: ModelDraft): void;
  /** `reason` is empty where the server gave none. */
  failed(reason: string): void;
}

export class DraftReply {
  readonly #listener: Listener;
  #assignment = 0;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  get isAsking(): boolean {
    return this.#assignment !== 0;
  }

  /** Asking twice is asking once: the server gives a task one draft. */
  async ask(assignment: number): Promise<void> {
    if (this.#assignment === assignment) return;
    this.#assignment = assignment;
    this.#listener.waiting(0);
    try {
      await this.#follow(assignment);
    } catch (error) {
      if (this.#end(assignment)) {
        this.#listener.failed(error instanceof ApiError ? wordsOf(error).message : "");
      }
    }
  }

  stop(): void {
    this.#assignment = 0;
  }

  async #follow(assignment: number): Promise<void> {
    const path = `assignments/${assignment}/draft-reply/`;
    let state = await apiCall<DraftState>("POST", path);
    while (state && !state.draft && state.status !== "failed") {
      if (this.#assignment !== assignment) return;
      this.#listener.waiting(state.progress);
      await new Promise((resolve) => window.setTimeout(resolve, LOOK_MS));
      state = await apiCall<DraftState>("GET", path);
    }
    if (!this.#end(assignment)) return;
    if (state?.draft) this.#listener.arrived(state.draft);
    else this.#listener.failed(state ? failureOf(state) : "");
  }

  /** False when the person has gone on to another task meanwhile. */
  #end(assignment: number): boolean {
    if (this.#assignment !== assignment) return false;
    this.#assignment = 0;
    return true;
  }
}
