// The thumbs page: one answer, good or bad, sent at once.
import type { Presentation } from "../api/assignments.ts";
import { find } from "../components/dom.ts";
import { gettext } from "../components/i18n.ts";
import { Session, type Judgement } from "../components/session.ts";
import { renderText } from "../components/text.ts";
import { choiceOf, choiceOfDraft } from "../thumbs/keys.ts";

// A double click must not also judge the next answer, which nobody has seen yet.
const TOO_SOON_MS = 300;

class Thumbs implements Judgement {
  readonly #session: Session;
  readonly #answer = find("[data-answer]");
  readonly #buttons: ReadonlyMap<boolean, HTMLButtonElement> = new Map([
    [true, find<HTMLButtonElement>("[data-up]")],
    [false, find<HTMLButtonElement>("[data-down]")],
  ]);
  #choice: boolean | null = null;
  #busy = false;
  #openedAt = 0;

  constructor(session: Session) {
    this.#session = session;
    for (const [isUp, button] of this.#buttons) {
      button.addEventListener("click", () => this.#choose(isUp));
    }
  }

  open(task: Presentation, draft: unknown): void {
    renderText(this.#answer, task.completions[0]?.text ?? "");
    this.#choice = choiceOfDraft(draft);
    this.#openedAt = performance.now();
    this.#draw();
    this.#answer.focus({ preventScroll: true });
  }

  payload(seconds: number): object | null {
    return this.#choice === null ? null : { is_up: this.#choice, seconds_spent: seconds };
  }

  missing(): string {
    return gettext("Say first whether the answer is good or bad.");
  }

  busy(busy: boolean): void {
    this.#busy = busy;
    for (const button of this.#buttons.values()) {
      button.classList.toggle("busy", busy);
      button.setAttribute("aria-busy", String(busy));
    }
  }

  key(event: KeyboardEvent): boolean {
    const choice = choiceOf(event);
    if (choice !== null) {
      this.#choose(choice);
      return true;
    }
    const onButton = (event.target as HTMLElement).closest("button, a, summary") !== null;
    if (event.key !== "Enter" || event.repeat || onButton) return false;
    void this.#session.submit();
    return true;
  }

  /** The draft outlives a server that is away or a lease that lapsed. */
  #choose(isUp: boolean): void {
    if (this.#busy || performance.now() - this.#openedAt < TOO_SOON_MS) return;
    this.#choice = isUp;
    this.#draw();
    this.#session.changed({ is_up: isUp });
    void this.#session.submit();
  }

  #draw(): void {
    for (const [isUp, button] of this.#buttons) {
      button.setAttribute("aria-pressed", String(this.#choice === isUp));
    }
  }
}

new Session((session) => new Thumbs(session));
