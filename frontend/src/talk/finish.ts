// The end of a conversation: some kinds ask for a verdict in a dialog, all take a note.
import { find, isComposing, isTyping } from "../components/dom.ts";

export interface Verdict {
  /** The payload's field that the radio buttons stand for. */
  readonly field: string;
  value(chosen: string): string | number;
  /** What goes with this answer. */
  more(chosen: string): object;
  /** The dialog opens or another answer is chosen. */
  follow(chosen: string | null): void;
  restore(draft: Readonly<Record<string, unknown>>): void;
}

export interface FinishActions {
  /** Something of it is worth keeping. */
  changed(): void;
  handIn(): void;
}

export class Finish {
  readonly #actions: FinishActions;
  readonly #verdict: Verdict | null;
  readonly #note = find<HTMLTextAreaElement>("[data-note]");
  readonly #dialog = document.querySelector<HTMLDialogElement>("#finish-dialog");

  constructor(verdict: Verdict | null, actions: FinishActions) {
    this.#actions = actions;
    this.#verdict = verdict;
    this.#note.addEventListener("input", () => actions.changed());
    if (!this.#dialog) return;
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
    find("[data-cancel]", this.#dialog).addEventListener("click", () => this.#dialog?.close());
    find("form", this.#dialog).addEventListener("submit", (event) => this.#submit(event));
    this.#dialog.addEventListener("change", () => {
      this.#follow();
      actions.changed();
    });
  }

  restore(draft: Readonly<Record<string, unknown>>): void {
    this.#note.value = typeof draft["note"] === "string" ? draft["note"] : "";
    for (const choice of this.#choices()) {
      choice.checked = this.#verdict?.value(choice.value) === draft[this.#verdict?.field ?? ""];
    }
    this.#verdict?.restore(draft);
  }

  /** Asks for the verdict, or hands in at once where there is none to ask for. */
  begin(): void {
    if (!this.#dialog) return this.#actions.handIn();
    this.#follow();
    this.#dialog.showModal();
    (this.#choices().find((choice) => choice.checked) ?? this.#choices()[0])?.focus();
  }

  /** The note and the verdict as far as there is one. */
  draft(): object {
    const chosen = this.#chosen();
    const note = this.#note.value.trim() ? { note: this.#note.value } : {};
    if (!this.#verdict || chosen === null) return note;
    const { field } = this.#verdict;
    return { ...note, [field]: this.#verdict.value(chosen), ...this.#verdict.more(chosen) };
  }

  /** Null while the verdict is missing. */
  payload(): object | null {
    return this.#verdict && this.#chosen() === null ? null : this.draft();
  }

  busy(busy: boolean): void {
    this.#note.readOnly = busy;
  }

  #choices(): HTMLInputElement[] {
    return [...(this.#dialog?.querySelectorAll<HTMLInputElement>("[name=verdict]") ?? [])];
  }

  #chosen(): string | null {
    return this.#choices().find((choice) => choice.checked)?.value ?? null;
  }

  #follow(): void {
    const chosen = this.#chosen();
    this.#verdict?.follow(chosen);
    find<HTMLButtonElement>("[type=submit]", this.#dialog ?? document).disabled = chosen === null;
  }

  #submit(event: Event): void {
    event.preventDefault();
    if (this.#chosen() === null) return;
    this.#dialog?.close();
    this.#actions.handIn();
  }

  /** A digit answers, Ctrl+Enter hands in. */
  #key(event: KeyboardEvent): void {
    if (isComposing(event)) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return this.#submit(event);
    if (isText(event.target) || event.ctrlKey || event.altKey || event.metaKey) return;
    const choice = this.#choices().find(({ dataset }) => dataset["key"] === event.key);
    if (!choice) return;
    event.preventDefault();
    choice.checked = true;
    choice.focus();
    choice.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

/** Radio buttons count as typing elsewhere; here digits must reach them. */
function isText(target: EventTarget | null): boolean {
  return isTyping(target) && !(target as HTMLElement).matches("input");
}
