// Keeps unsent work twice: at once on this device, and a moment later on the server.
//
// The local copy goes away as soon as the server holds the same thing, so a local copy found later
// is always newer than the server's.
import * as api from "../api/assignments.ts";
import { gettext } from "./i18n.ts";
import { isPassing } from "./retry.ts";

const DELAY_MS = 1_200;
const AGAIN_MS = 5_000;
// Of what is to outlive its page, browsers refuse more than 64 KiB.
const MOST_LEAVING_BYTES = 60_000;

export type DraftStatus = "saving" | "saved" | "local";

export class Drafts {
  readonly #onStatus: (status: DraftStatus) => void;
  #assignment = 0;
  /** Not on the server yet. */
  #pending: object | null = null;
  #timer = 0;
  #sent = 0;

  constructor(onStatus: (status: DraftStatus) => void) {
    this.#onStatus = onStatus;
    const flush = () => document.hidden && this.flush(true);
    document.addEventListener("visibilitychange", flush);
    window.addEventListener("pagehide", () => this.flush(true));
    window.addEventListener("online", () => this.flush());
  }

  /** Starts on another assignment and returns what to restore: the local copy, or the server's. */
  open(assignment: number, stored: unknown): unknown {
    this.#forgetTimer();
    this.#assignment = assignment;
    const local = readLocal(assignment);
    return local === undefined ? stored : local;
  }

  change(draft: object): void {
    this.#forgetTimer();
    this.#pending = draft;
    writeLocal(this.#assignment, draft);
    this.#onStatus("saving");
    this.#timer = window.setTimeout(() => this.flush(), DELAY_MS);
  }

  /** Sends what is waiting. A failure keeps it waiting and is told, never thrown. */
  flush(leaving = false): void {
    const draft = this.#pending;
    if (!draft) return;
    const assignment = this.#assignment;
    const sent = (this.#sent += 1);
    this.#forgetTimer();
    const keepalive = leaving && bytesOf(draft) <= MOST_LEAVING_BYTES;
    api.saveDraft(assignment, draft, keepalive).then(
      () => this.#settled(assignment),
      // What was sent after it is newer.
      (error: unknown) => sent === this.#sent && this.#failed(assignment, draft, error),
    );
  }

  /** The judgement is stored or given back: neither copy is needed. */
  discard(): void {
    this.#forgetTimer();
    removeLocal(this.#assignment);
    this.#assignment = 0;
  }

  #settled(assignment: number): void {
    if (assignment !== this.#assignment || this.#pending) return;
    removeLocal(assignment);
    this.#onStatus("saved");
  }

  #failed(assignment: number, draft: object, error: unknown): void {
    if (assignment !== this.#assignment) return;
    this.#onStatus("local");
    if (this.#pending) return;
    this.#pending = draft;
    if (isPassing(error)) this.#timer = window.setTimeout(() => this.flush(), AGAIN_MS);
  }

  #forgetTimer(): void {
    window.clearTimeout(this.#timer);
    this.#pending = null;
  }
}

export function draftWords(status: DraftStatus): string {
  switch (status) {
    case "saving":
      return gettext("Saving draft…");
    case "saved":
      return gettext("Draft saved");
    case "local":
      return gettext("Draft kept on this device; the server has not taken it yet");
  }
}

function bytesOf(draft: object): number {
  return new Blob([JSON.stringify(draft)]).size;
}

const key = (assignment: number) => `preferendum:draft:${assignment}`;

// Private windows and full disks refuse local storage; the server copy then has to do.
function readLocal(assignment: number): unknown {
  try {
    const text = localStorage.getItem(key(assignment));
    return text === null ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function writeLocal(assignment: number, draft: object): void {
  try {
    localStorage.setItem(key(assignment), JSON.stringify(draft));
  } catch {
    return;
  }
}

function removeLocal(assignment: number): void {
  try {
    localStorage.removeItem(key(assignment));
  } catch {
    return;
  }
}
