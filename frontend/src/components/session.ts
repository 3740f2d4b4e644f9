// One sitting of work: claim, show, keep safe, submit or skip, and on to the next.
//
// A kind of judgement brings a `Judgement`; all it shares with the other kinds is here.
import * as api from "../api/assignments.ts";
import type { Presentation, ReportKind } from "../api/assignments.ts";
import { ApiError } from "../api/client.ts";
import { Ahead } from "./ahead.ts";
import { renderChat } from "./chat.ts";
import { copying } from "./copying.ts";
import { find, isComposing, pageData } from "./dom.ts";
import { Drafts, draftWords } from "./drafts.ts";
import { GuidelinesDialog } from "./guidelines_dialog.ts";
import { gettext } from "./i18n.ts";
import { Lease } from "./lease.ts";
import { ReportDialog } from "./report_dialog.ts";
import { runKey, type PageCommands, type TaskCommands } from "./page_keys.ts";
import { Reports, type Report } from "./reports.ts";
import { SingleKeys } from "./single_keys.ts";
import { Sitting } from "./sitting.ts";
import { SkipDialog } from "./skip_dialog.ts";
import { KeptFirst, Submission } from "./submission.ts";
import { Tabs } from "./tabs.ts";
import { TakeBack } from "./take_back.ts";
import { TaskClock } from "./task_clock.ts";
import { Trouble } from "./trouble.ts";
import { ViewOptions } from "./view_options.ts";

const LOOK_AGAIN_MS = 8_000;
const ALREADY_SUBMITTED = "assignment_already_submitted";

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
  readonly #page = find("[data-judging]");
  readonly #live = find("[data-live]");
  readonly #notice = find("[data-notice]");
  readonly #trouble = new Trouble(find("[data-problem]"));
  readonly #drafts = new Drafts((status) => this.#sayDraft(draftWords(status)));
  readonly #lease = new Lease((error) => this.#busy || this.#lostLease(error));
  readonly #skip = new SkipDialog((id, reason) => void this.#skipTask(id, reason));
  readonly #report = new ReportDialog((report) => this.#send(report));
  readonly #reports = new Reports(this.#name(), () => this.#sayReported());
  readonly #guidelines = new GuidelinesDialog(
    this.#root.dataset["project"] ?? "",
    this.#root.dataset["person"] ?? "",
  );
  readonly #singleKeys = new SingleKeys();
  readonly #views = new ViewOptions((sentence) => this.announce(sentence));
  readonly #ahead = new Ahead((aheadOf) => this.#reserve(aheadOf));
  readonly #takeBack = new TakeBack(this.#name(), () => void this.#undo());
  readonly #clock = new TaskClock();
  readonly #submission = new Submission();
  readonly #sitting = new Sitting(this.#name());
  readonly #tabs = new Tabs({
    opened: (id) => this.#openedElsewhere(id),
    settled: (id, next) => void this.#settledElsewhere(id, next),
  });
  readonly #pageCommands: PageCommands = {
    undo: () => this.#undoByKey(),
    raw: () => this.#views.raw(),
    layout: () => this.#views.layout(),
  };
  readonly #taskCommands: TaskCommands = {
    skip: () => this.#openSkip(),
    guidelines: () => this.#guidelines.open(),
    differences: () => this.#views.differences(),
    flag: () => this.#openReport("content"),
    report: () => this.#openReport("problem"),
  };
  readonly #judgement: Judgement;
  #task: Presentation | null = null;
  /** At work in another tab; here it only waits. */
  #elsewhere: Presentation | null = null;
  /** The newest draft; null while the person did nothing. */
  #draft: unknown = null;
  #busy = false;
  #lookAgain = 0;

  constructor(judgement: (session: Session) => Judgement) {
    this.#judgement = judgement(this);
    this.#listen();
    this.#sayDone();
    this.#show(pageData<Presentation | null>("presentation"));
  }

  /** What the person is at; null while there is nothing to do. */
  get task(): Presentation | null {
    return this.#task;
  }

  /** Speaks to screen readers. */
  announce(sentence: string): void {
    this.#live.textContent = sentence;
  }

  /** The person changed something worth keeping. What comes between two tasks belongs to neither. */
  changed(draft: object): void {
    if (!this.#task) return;
    this.#draft = draft;
    this.#trouble.drop();
    this.#notice.hidden = true;
    this.#drafts.change(draft);
  }

  /** A call that the kind made itself was refused; `again` makes it once more. */
  failed(error: unknown, again: () => void): void {
    this.#failed(error, again);
  }

  async submit(): Promise<void> {
    const task = this.#task;
    if (!task || this.#busy) return;
    const seconds = this.#clock.seconds();
    const payload = this.#judgement.payload(seconds);
    if (!payload) return this.announce(this.#judgement.missing());
    await this.#attempt(
      () => this.#submitted(task, payload, seconds),
      () => void this.submit(),
    );
  }

  #openSkip(): true {
    if (this.#task && !this.#busy) this.#skip.open(this.#task.id);
    return true;
  }

  async #submitted(task: Presentation, payload: object, seconds: number): Promise<void> {
    const wasStored = await this.#submission.send(task.id, payload);
    if (wasStored) this.announce(gettext("It had been stored the first time."));
    this.#sitting.add(seconds);
    this.#takeBack.add(task.id, task.undo_seconds, seconds);
    await this.#next(gettext("Saved."));
  }

  async #skipTask(id: number, reason: string): Promise<void> {
    if (this.#task?.id !== id || this.#busy) return;
    await this.#attempt(
      async () => {
        await api.skip(id, reason);
        await this.#next(gettext("Skipped."));
      },
      () => void this.#skipTask(id, reason),
    );
  }

  #send(report: Report): void {
    this.#say("");
    this.#reports.add(report);
  }

  #sayReported(): void {
    this.#say(gettext("Sent. The project's reviewers will look at it; go on when you like."));
  }

  /** Brings the last submit back; what the person is at now waits for its turn. */
  async #undo(): Promise<void> {
    const sent = this.#takeBack.newest;
    if (!sent || this.#busy) return;
    await this.#attempt(
      async () => {
        this.#drafts.flush();
        const taken = await api.undo(sent.id);
        const current = this.#task;
        if (current) this.#ahead.hold({ ...current, draft: this.#draft });
        this.#takeBack.remove(sent.id);
        this.#clock.restore(sent.id, sent.seconds);
        this.#sitting.takeBack();
        this.#sayDone();
        this.#show(taken);
        this.#say(gettext("Taken back. Change it and submit it again."));
      },
      () => void this.#undo(),
    );
  }

  /** The task is settled: the one that waits is shown at once, or the next is asked for. */
  async #next(sentence: string): Promise<void> {
    const settled = this.#task;
    this.#leave();
    this.#sayDone();
    this.announce(sentence);
    const waiting = await this.#ahead.take();
    const task = waiting ?? (await this.#claim(this.#tabs.theirs));
    if (settled) this.#tabs.settled(settled.id, task?.id ?? null);
    this.#show(task);
    // It was reserved a while ago; should it be gone, nobody has begun with it yet.
    if (waiting) this.#lease.check();
    const then = task
      ? gettext("Here is the next one.")
      : gettext("Nothing more to do right now.");
    this.announce(`${sentence} ${this.#sitting.sentence()} ${then}`);
  }

  /** What is settled stays in view until the next comes, but nobody can write into it any more. */
  #leave(): void {
    this.#task = null;
    this.#elsewhere = null;
    this.#page.inert = true;
    this.#lease.stop();
    this.#clock.discard();
    this.#drafts.discard();
    this.#sayDraft("");
  }

  #claim(aheadOf?: number): Promise<Presentation | null> {
    const { project, kind } = this.#root.dataset;
    return api.claim(project ?? "", kind ?? "", aheadOf);
  }

  async #reserve(aheadOf: number): Promise<Presentation | null> {
    const task = await this.#claim(aheadOf);
    if (task) this.#guidelines.hear(task.guidelines.latest);
    return task?.id === this.#tabs.theirs ? null : task;
  }

  /** Runs one step while the page is busy; a failure is shown with the way to try again. */
  async #attempt(step: () => Promise<void>, again: () => void): Promise<void> {
    const begunWith = this.#task;
    this.#setBusy(true);
    this.#trouble.drop();
    try {
      await step();
      this.#trouble.worked();
    } catch (error) {
      // The step itself went through when its task is settled: only the next one did not come.
      this.#failed(error, begunWith && !this.#task ? this.#goOn : again);
    } finally {
      this.#setBusy(false);
    }
  }

  #failed(error: unknown, again: () => void): void {
    const code = codeOf(error);
    if (error instanceof KeptFirst) {
      this.#keptFirst(error.refusal);
    } else if (code === "assignment_expired" || code === "assignment_withdrawn") {
      this.#lostLease(error);
    } else if (code === "consent_needed" || code === "exposure_cap_reached") {
      // In place of the work the server's page then says why there is none.
      window.location.reload();
    } else if (code === "undo_refused") {
      this.#refusedUndo(error);
    } else if (this.#trouble.waits(error, again)) {
      return;
    } else if (code === ALREADY_SUBMITTED) {
      this.#trouble.show(error, { label: gettext("Go on"), action: this.#goOn });
    } else {
      this.#trouble.show(error, { label: gettext("Try again"), action: again });
    }
  }

  readonly #goOn = (): void => {
    void this.#attempt(() => this.#next(""), this.#goOn);
  };

  #refusedUndo(error: unknown): void {
    const sent = this.#takeBack.newest;
    if (sent) this.#takeBack.remove(sent.id);
    this.#trouble.show(error, { label: gettext("Go on"), action: () => undefined });
  }

  /** What is stored cannot make room any more, so the newer words are the person's to take along. */
  #keptFirst(refusal: ApiError): void {
    const note = gettext("What you sent first is stored; what you changed since then is not.");
    const goOn = { label: gettext("Go on"), action: this.#goOn };
    this.#trouble.show(refusal, goOn, copying(this.#draft), note);
  }

  /** Takes the same task up again when it is still free; its draft comes back with it. */
  #lostLease(error: unknown): void {
    const lost = this.#task;
    // Handed in by a try without an answer; the next submit says what becomes of it.
    if (lost && this.#submission.isOpen(lost.id) && codeOf(error) === ALREADY_SUBMITTED) return;
    if (lost && this.#draft === null && !this.#busy) return void this.#replace(lost);
    const isFree = codeOf(error) === "assignment_expired";
    const takeUp = (): void => {
      void this.#attempt(async () => {
        const task = await this.#claimAgain();
        this.#show(task);
        if (isFree && lost && task?.id !== lost.id) this.#sayGone();
      }, takeUp);
    };
    const label = isFree ? gettext("Take it up again") : gettext("Go on");
    this.#trouble.show(error, { label, action: takeUp }, copying(this.#draft));
  }

  /** Nothing was begun with the task that is gone, so another one takes its place silently. */
  async #replace(lost: Presentation): Promise<void> {
    const task = await this.#claim().catch(() => undefined);
    if (task !== undefined && this.#task?.id === lost.id && this.#draft === null) {
      this.#show(task);
    }
  }

  /** What was lost comes first: the one that waits is the person's too, and is not meant. */
  async #claimAgain(): Promise<Presentation | null> {
    const again = await this.#claim(this.#ahead.id);
    return again ?? (await this.#ahead.take()) ?? this.#claim();
  }

  #sayGone(): void {
    this.#say(gettext("Somebody else has that task by now; your draft of it is kept."));
  }

  #show(task: Presentation | null): void {
    const wantedToSkip = this.#skip.close();
    this.#task = task;
    this.#elsewhere = null;
    this.#draft = null;
    this.#clock.leave();
    this.#root.dataset["state"] = task ? "judging" : "idle";
    this.#notice.hidden = true;
    window.clearTimeout(this.#lookAgain);
    if (!task) return this.#waitForWork();
    this.#page.inert = false;
    this.#sayDraft("");
    this.#tabs.opened(task.id);
    this.#ahead.shown(task.id);
    this.#lease.start(task.id, task.lease_expires_at);
    this.#guidelines.follow(task);
    renderChat(find("[data-chat]"), task.prompt?.messages ?? []);
    this.#clock.open(task.id);
    this.#draft = this.#drafts.open(task.id, task.draft);
    this.#judgement.open(task, this.#draft);
    this.#views.open();
    if (wantedToSkip) this.#say(gettext("The task that you wanted to skip is not open any more."));
    window.scrollTo({ top: 0 });
    this.#root.dataset["task"] = String(task.id);
    // First the person sees this one, then we ask for the one to come.
    if ("prefetch" in this.#root.dataset) window.setTimeout(() => this.#ahead.prepare());
  }

  #waitForWork(): void {
    this.#lookAgain = window.setTimeout(() => void this.#look(), LOOK_AGAIN_MS);
  }

  /** A hidden page claims nothing: the task would wait for somebody who is not there. */
  async #look(): Promise<void> {
    const claim = document.hidden ? null : this.#claim(this.#tabs.theirs);
    const task = await claim?.catch(() => null);
    if (this.#task || this.#elsewhere) return;
    this.#show(task ?? null);
    if (task) this.announce(gettext("There is something to do again."));
  }

  /** Two tabs at one task: the newer one has it, the other keeps what was written and waits. */
  #openedElsewhere(id: number): void {
    this.#ahead.forget(id);
    if (this.#task?.id !== id) return;
    this.#drafts.flush(true);
    this.#clock.leave();
    this.#lease.stop();
    this.#trouble.drop();
    this.#skip.close();
    this.#elsewhere = this.#task;
    this.#task = null;
    this.#root.dataset["state"] = "elsewhere";
  }

  async #settledElsewhere(id: number, next: number | null): Promise<void> {
    if (id !== (this.#task ?? this.#elsewhere)?.id) return;
    this.#leave();
    await this.#attempt(async () => {
      this.#show(await this.#claim(next ?? undefined));
      this.#say(gettext("That task was handed in from another tab. Here you go on from there."));
    }, this.#goOn);
  }

  async #useHere(): Promise<void> {
    const parked = this.#elsewhere;
    if (!parked || this.#busy) return;
    await this.#attempt(
      async () => this.#open(await api.get(parked.id)),
      () => void this.#useHere(),
    );
  }

  /** Shows the task if it is still the person's, else goes on from where the server stands. */
  async #open(task: Presentation): Promise<void> {
    if (task.status === "active") return this.#show(task);
    this.#show(await this.#claim());
    this.#say(gettext("That task is settled; here you go on from there."));
  }

  /** A page that the browser kept and brings back may show what is long submitted. */
  async #cameBack(): Promise<void> {
    const task = this.#task ?? this.#elsewhere;
    this.#drafts.flush();
    await this.#attempt(
      async () => {
        if (!task) return this.#show(await this.#claim());
        const now = await api.get(task.id);
        if (now.status !== "active") await this.#open(now);
        else if (this.#elsewhere) this.#show(now);
      },
      () => void this.#cameBack(),
    );
  }

  #setBusy(busy: boolean): void {
    this.#busy = busy;
    this.#root.toggleAttribute("data-busy", busy);
    this.#judgement.busy(busy);
  }

  /** In view and to screen readers. */
  #say(sentence: string): void {
    this.#notice.textContent = sentence;
    this.#notice.hidden = sentence === "";
    this.announce(sentence);
  }

  #sayDone(): void {
    find("[data-done]").textContent = this.#sitting.sentence();
  }

  #sayDraft(sentence: string): void {
    find("[data-draft-status]").textContent = sentence;
  }

  /** Of this work of this person, for what the browser remembers. */
  #name(): string {
    const { project, kind, person } = this.#root.dataset;
    return [person, project, kind].join(":");
  }

  #listen(): void {
    const touch = () => {
      this.#clock.touch();
      this.#lease.touch();
      this.#ahead.touch();
    };
    for (const name of ["pointermove", "pointerdown", "keydown", "scroll"]) {
      document.addEventListener(name, touch, { passive: true, capture: true });
    }
    document.addEventListener("keydown", (event) => this.#key(event));
    window.addEventListener("pageshow", (event) => event.persisted && void this.#cameBack());
    const clicks: Readonly<Record<string, () => unknown>> = {
      "[data-skip]": () => this.#openSkip(),
      "[data-look]": () => this.#look(),
      "[data-use-here]": () => this.#useHere(),
      "[data-flag]": () => this.#openReport("content"),
      "[data-report]": () => this.#openReport("problem"),
      "[data-guidelines-button]": () => this.#guidelines.open(),
    };
    for (const [selector, action] of Object.entries(clicks)) {
      find(selector).addEventListener("click", () => void action());
    }
    for (const button of document.querySelectorAll<HTMLElement>("[data-opens]")) {
      const dialog = find<HTMLDialogElement>(`#${button.dataset["opens"]}`);
      button.addEventListener("click", () => dialog.showModal());
    }
  }

  #key(event: KeyboardEvent): void {
    if (event.defaultPrevented || isComposing(event) || this.#busy) return;
    if (document.querySelector("dialog[open]")) return;
    if (!this.#singleKeys.allow(event)) return;
    // On many keyboards "!" is Shift and a digit, which some kinds take for the digit.
    const shared = () => runKey(event, this.#pageCommands, this.#task && this.#taskCommands);
    const isShared = event.key === "!" && shared();
    const isUsed = isShared || (this.#task !== null && this.#judgement.key(event));
    if (isUsed || shared()) event.preventDefault();
  }

  #undoByKey(): boolean {
    if (!this.#takeBack.newest) return false;
    void this.#undo();
    return true;
  }

  #openReport(kind: ReportKind): true {
    if (this.#task && !this.#busy) this.#report.open(kind, this.#task.id);
    return true;
  }
}

function codeOf(error: unknown): string {
  return error instanceof ApiError ? error.code : "";
}
