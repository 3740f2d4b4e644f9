// The demonstration page: the person writes the answer a good assistant would give.
import type { Presentation } from "../api/assignments.ts";
import { find } from "../components/dom.ts";
import { Session, type Judgement } from "../components/session.ts";

const MAX_CHARACTERS = 32_000;
const NEARLY_FULL = 0.95;

class Demonstration implements Judgement {
  readonly #session: Session;
  readonly #text = find<HTMLTextAreaElement>("[data-text]");
  readonly #submit = find<HTMLButtonElement>("[data-submit]");

  constructor(session: Session) {
    this.#session = session;
    this.#text.addEventListener("input", () => {
      this.#draw();
      session.changed({ text: this.#text.value });
    });
    this.#submit.addEventListener("click", () => void session.submit());
  }

  open(_task: Presentation, draft: unknown): void {
    this.#text.value = textOf(draft);
    this.#draw();
    this.#text.focus({ preventScroll: true });
  }

  payload(): object | null {
    const text = this.#text.value.trim();
    return text && text.length <= MAX_CHARACTERS ? { text } : null;
  }

  missing(): string {
    return this.#text.value.trim()
      ? `The answer is longer than ${MAX_CHARACTERS.toLocaleString("en")} characters. Shorten it.`
      : "Write an answer first.";
  }

  busy(busy: boolean): void {
    this.#text.readOnly = busy;
    this.#submit.classList.toggle("busy", busy);
    this.#submit.setAttribute("aria-busy", String(busy));
  }

  key(event: KeyboardEvent): boolean {
    if (event.key === "Escape" && event.target === this.#text) {
      this.#text.blur();
      return true;
    }
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat) return false;
    void this.#session.submit();
    return true;
  }

  #draw(): void {
    const text = this.#text.value;
    const words = text.trim() ? text.trim().split(/\s+/).length : 0;
    const counter = find("[data-counter]");
    counter.textContent = `${words} ${words === 1 ? "word" : "words"}`;
    if (text.length > MAX_CHARACTERS * NEARLY_FULL) {
      counter.textContent += ` · ${text.length.toLocaleString("en")} of ${MAX_CHARACTERS.toLocaleString("en")} characters`;
    }
    const ready = this.payload() !== null;
    this.#submit.setAttribute("aria-disabled", String(!ready));
    find("[data-why]").textContent = ready ? "" : this.missing();
  }
}

function textOf(draft: unknown): string {
  const has = draft !== null && typeof draft === "object" && "text" in draft;
  return has && typeof draft.text === "string" ? draft.text : "";
}

new Session((session) => new Demonstration(session));
