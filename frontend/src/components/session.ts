// One sitting of work: claim, show, keep safe, submit or skip, and on to the next.
//
// A kind of judgement brings a `Judgement`; all it shares with the other kinds is here.
import * as api from "../api/assignments.ts";
import type { Presentation } from "../api/assignments.ts";
import { ApiError } from "../api/client.ts";
import { ActiveTimer } from "./active_timer.ts";
import { renderChat } from "./chat.ts";
import { find, isTyping, pageData } from "./dom.ts";
import { Drafts, type DraftStatus } from "./drafts.ts";
import { Lease } from "./lease.ts";
import { Problem } from "./problem.ts";
import { SkipDialog } from "./skip_dialog.ts";

const LOOK_AGAIN_MS = 8_000;
const DRAFT_WORDS: Readonly<Record<DraftStatus, string>> = {
  saving: "Saving draft…",
  saved: "Draft saved",
  local: "Draft kept on this device; the server could not be reached",
};

export interface Judgement {
  /** Shows a new task; `draft` is what the person had done before, or null. */
  open(task: Presentation, draft: unknown): void;
  /** What to submit, or null while it is not ready. */
  payload(seconds: number): object | null;
  /** What is missing, in a sentence; called when payload() gave null. */
  missing(): string;
  /** Returns true when it used the key. Not called while a dialog is open. */
  key(event: KeyboardEvent): boolean;
  /** Marks the submit button busy or free. */
  busy(busy: boolean): void;
}

export class Session {
  readonly #root = find("[data-work]");
  readonly #live = find("[data-live]");
  readonly #problem = new Problem(find("[data-problem]"));
  readonly #drafts = new Drafts((status) => this.#sayDraft(status));
  readonly #lease = new Lease((error) => this.#lostLease(error));
  readonly #skip = new SkipDialog((reason) => void this.#skipTask(reason));
  readonly #judgement: Judgement;
  #timer = new ActiveTimer();
  #task: Presentation | null = null;
  #busy = false;
  #done = 0;
  #lookAgain = 0;

  constructor(judgement: (session: Session) => Judgement) {
    this.#judgement = judgement(this);
    this.#listen();
    this.#show(pageData<Presentation | null>("presentation"));
  }

  /** Speaks to screen readers. */
  announce(sentence: string): void {
    this.#live.textContent = sentence;
  }

  /** The person changed something worth keeping. */
  changed(draft: object): void {
    this.#problem.hide();
    this.#drafts.change(draft);
  }

  async submit(): Promise<void> {
    const task = this.#task;
    if (!task || this.#busy) return;
    const payload = this.#judgement.payload(this.#timer.seconds());
    if (!payload) return this.announce(this.#judgement.missing());
    await this.#attempt(async () => {
      await api.submit(task.id, payload);
      this.#done += 1;
      await this.#next(`Saved. ${this.#done} done in this sitting.`);
    }, () => void this.submit());
  }

  openSkip(): void {
    if (this.#task && !this.#busy) this.#skip.open();
  }

  async #skipTask(reason: string): Promise<void> {
    const task = this.#task;
    if (!task) return;
    await this.#attempt(async () => {
      await api.skip(task.id, reason);
      await this.#next("Skipped.");
    }, () => void this.#skipTask(reason));
  }

  async #next(sentence: string): Promise<void> {
    this.#drafts.discard();
    this.#lease.stop();
    this.#task = null;
    this.#sayDone(sentence);
    const task = await this.#claim();
    this.#show(task);
    this.announce(`${sentence} ${task ? "Here is the next one." : "Nothing more to do right now."}`);
  }

  #claim(): Promise<Presentation | null> {
    const { project, kind } = this.#root.dataset;
    return api.claim(project ?? "", kind ?? "");
  }

  /** Runs one step while the page is busy; a failure is shown with the way to try again. */
  async #attempt(step: () => Promise<void>, again: () => void): Promise<void> {
    this.#setBusy(true);
    this.#problem.hide();
    try {
      await step();
    } catch (error) {
      this.#failed(error, again);
    } finally {
      this.#setBusy(false);
    }
  }

  #failed(error: unknown, again: () => void): void {
    const code = error instanceof ApiError ? error.code : "";
    const goOn = () => void this.#attempt(() => this.#next(""), goOn);
    if (!this.#task || code === "assignment_already_submitted") {
      this.#problem.show(error, { label: "Go on", action: goOn });
    } else if (code === "assignment_expired") {
      this.#lostLease(error);
    } else {
      this.#problem.show(error, { label: "Try again", action: again });
    }
  }

  /** Takes the same task up again when it is still free; its draft comes back with it. */
  #lostLease(error: unknown): void {
    const takeUp = () =>
      void this.#attempt(async () => this.#show(await this.#claim()), takeUp);
    this.#problem.show(error, { label: "Take it up again", action: takeUp });
  }

  #show(task: Presentation | null): void {
    this.#task = task;
    this.#timer = new ActiveTimer();
    this.#root.dataset["state"] = task ? "judging" : "idle";
    window.clearTimeout(this.#lookAgain);
    if (!task) return this.#waitForWork();
    find("[data-draft-status]").textContent = "";
    renderChat(find("[data-chat]"), task.prompt.messages);
    find("[data-guidelines]").textContent = task.guidelines;
    this.#lease.start(task.id, task.lease_expires_at);
    this.#judgement.open(task, this.#drafts.open(task.id, task.draft));
    window.scrollTo({ top: 0 });
  }

  #waitForWork(): void {
    this.#lookAgain = window.setTimeout(() => void this.#look(), LOOK_AGAIN_MS);
  }

  /** A hidden page claims nothing: the task would wait for somebody who is not there. */
  async #look(): Promise<void> {
    const task = document.hidden ? null : await this.#claim().catch(() => null);
    this.#show(task);
    if (task) this.announce("There is something to do again.");
  }

  #setBusy(busy: boolean): void {
    this.#busy = busy;
    this.#root.toggleAttribute("data-busy", busy);
    this.#judgement.busy(busy);
  }

  #sayDone(sentence: string): void {
    find("[data-done]").textContent = this.#done ? `${this.#done} done in this sitting` : "";
    this.announce(sentence);
  }

  #sayDraft(status: DraftStatus): void {
    find("[data-draft-status]").textContent = DRAFT_WORDS[status];
  }

  #listen(): void {
    const touch = () => {
      this.#timer.touch();
      this.#lease.touch();
    };
    for (const name of ["pointermove", "pointerdown", "keydown", "scroll"]) {
      document.addEventListener(name, touch, { passive: true, capture: true });
    }
    document.addEventListener("visibilitychange", () => document.hidden && this.#timer.pause());
    document.addEventListener("keydown", (event) => this.#key(event));
    find("[data-skip]").addEventListener("click", () => this.openSkip());
    find("[data-look]").addEventListener("click", () => void this.#look());
    for (const button of document.querySelectorAll<HTMLElement>("[data-opens]")) {
      const dialog = find<HTMLDialogElement>(`#${button.dataset["opens"]}`);
      button.addEventListener("click", () => dialog.showModal());
    }
  }

  #key(event: KeyboardEvent): void {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (this.#busy || !this.#task) return;
    if (this.#judgement.key(event) || this.#sharedKey(event)) event.preventDefault();
  }

  #sharedKey(event: KeyboardEvent): boolean {
    if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key === "?") find<HTMLDialogElement>("#keys-dialog").showModal();
    else if (event.key.toLowerCase() === "s") this.openSkip();
    else return false;
    return true;
  }
}
