// The demonstration page: the person writes the answer a good assistant would give, from nothing or
// from a model's draft.
import type { Presentation } from "../api/assignments.ts";
import { renderDiff } from "../components/diff.ts";
import { find } from "../components/dom.ts";
import { gettext, interpolate } from "../components/i18n.ts";
import { Session, type Judgement } from "../components/session.ts";
import { renderText } from "../components/text.ts";
import { DraftReply } from "../writing/draft_reply.ts";
import * as texts from "../writing/draft_text.ts";
import type { ModelDraft, Writing } from "../writing/draft_text.ts";
import { altKey, isSubmit, leaves } from "../writing/keys.ts";
import { lengthSentence, tooLong, tooLongSentence } from "../writing/length.ts";
import { Panel } from "../writing/panel.ts";

class Demonstration implements Judgement {
  readonly #session: Session;
  readonly #text = find<HTMLTextAreaElement>("[data-text]");
  readonly #submit = find<HTMLButtonElement>("[data-submit]");
  readonly #toggle = find<HTMLButtonElement>("[data-draft-toggle]");
  readonly #progress = find<HTMLProgressElement>("[data-draft-progress]");
  readonly #preview = new Panel("preview", (box) => renderText(box, this.#text.value));
  readonly #changes = new Panel("changes", (box) =>
    renderDiff(box, this.#writing.edits?.text ?? "", this.#text.value),
  );
  readonly #reply = new DraftReply({
    waiting: (progress) => this.#wait(progress),
    arrived: (draft) => this.#arrived(draft),
    failed: (reason) => this.#failed(reason),
  });
  #writing: Writing = texts.NOTHING;
  #offered: ModelDraft | null = null;

  constructor(session: Session) {
    this.#session = session;
    this.#text.addEventListener("input", () => {
      this.#writing = { ...this.#writing, text: this.#text.value };
      this.#changed();
    });
    this.#submit.addEventListener("click", () => void session.submit());
    this.#toggle.addEventListener("click", () => this.#toggleDraft());
  }

  open(task: Presentation, draft: unknown): void {
    this.#reply.stop();
    // The draft that this task was given lies among what it shows.
    this.#offered = task.completions.at(-1) ?? null;
    this.#writing = texts.writingOf(draft, this.#offered);
    find("[data-draft-bar]").hidden = task.options["drafts"] !== "offered";
    this.#say("");
    this.#show();
    this.#preview.toggle(false);
    this.#text.focus({ preventScroll: true });
  }

  payload(seconds: number): object | null {
    const text = this.#text.value;
    if (!text.trim() || tooLong(text)) return null;
    return { ...texts.payloadOf(this.#writing), seconds_spent: seconds };
  }

  missing(): string {
    return this.#text.value.trim() ? tooLongSentence() : gettext("Write an answer first.");
  }

  busy(busy: boolean): void {
    this.#text.readOnly = busy;
    this.#submit.classList.toggle("busy", busy);
    this.#submit.setAttribute("aria-busy", String(busy));
  }

  key(event: KeyboardEvent): boolean {
    if (leaves(event)) return true;
    switch (altKey(event)) {
      case "d":
        this.#toggleDraft();
        return true;
      case "p":
        this.#preview.toggle();
        return true;
      case "v":
        this.#changes.toggle();
        return true;
    }
    if (!isSubmit(event)) return false;
    void this.#session.submit();
    return true;
  }

  #toggleDraft(): void {
    const task = this.#session.task;
    if (!task || this.#text.readOnly || find("[data-draft-bar]").hidden) return;
    if (this.#writing.edits) this.#discard();
    else if (this.#offered) this.#start(this.#offered);
    else void this.#reply.ask(task.id);
  }

  #start(draft: ModelDraft): void {
    const hadWords = this.#writing.text.trim() !== "";
    this.#writing = texts.startFrom(this.#writing, draft);
    this.#say(
      hadWords
        ? gettext("The draft is in the box. What you wrote comes back when you discard it.")
        : gettext("The draft is in the box. Make it the answer you would want to get."),
    );
    this.#show();
    this.#changed();
    this.#text.focus({ preventScroll: true });
    this.#text.setSelectionRange(0, 0);
  }

  #discard(): void {
    this.#writing = texts.discard(this.#writing);
    this.#say(gettext("These are your own words again. The draft is kept as you left it."));
    this.#show();
    this.#changed();
    this.#text.focus({ preventScroll: true });
  }

  #wait(progress: number): void {
    this.#progress.hidden = false;
    this.#progress.value = progress;
    this.#say(gettext("A model is writing a draft. You can go on meanwhile."));
    this.#drawToggle();
  }

  #arrived(draft: ModelDraft): void {
    this.#progress.hidden = true;
    this.#offered = draft;
    this.#start(draft);
  }

  #failed(reason: string): void {
    this.#progress.hidden = true;
    const sentence = gettext("No draft came. %(reason)s Write the answer yourself, or ask again.");
    this.#say(interpolate(sentence, { reason }));
    this.#drawToggle();
  }

  /** The line beside the button is a live region: it is read out as well. */
  #say(sentence: string): void {
    const words = find("[data-draft-words]");
    if (words.textContent !== sentence) words.textContent = sentence;
  }

  #changed(): void {
    this.#draw();
    this.#session.changed(texts.savedOf(this.#writing));
  }

  #show(): void {
    this.#text.value = this.#writing.text;
    this.#draw();
  }

  #draw(): void {
    const text = this.#text.value;
    find("[data-counter]").textContent = lengthSentence(text);
    const ready = text.trim() !== "" && !tooLong(text);
    this.#submit.setAttribute("aria-disabled", String(!ready));
    find("[data-why]").textContent = ready ? "" : this.missing();
    this.#drawToggle();
    this.#changes.offer(this.#writing.edits !== null);
    this.#preview.refresh();
    this.#changes.refresh();
  }

  #drawToggle(): void {
    const isAsking = this.#reply.isAsking;
    this.#progress.hidden = !isAsking;
    this.#toggle.setAttribute("aria-disabled", String(isAsking));
    find("[data-draft-label]").textContent = this.#writing.edits
      ? gettext("Discard the draft")
      : gettext("Start from a draft");
  }
}

new Session((session) => new Demonstration(session));
