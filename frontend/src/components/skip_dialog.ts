// Asks why a task is skipped: a reason by one key, or in the person's own words.
import { find } from "./dom.ts";

export class SkipDialog {
  readonly #dialog = find<HTMLDialogElement>("#skip-dialog");
  readonly #form = find<HTMLFormElement>("form", this.#dialog);
  readonly #words = find<HTMLInputElement>("[name=words]", this.#form);

  #task = 0;

  /** Skips the task that the dialog was opened for, whatever is shown by then. */
  constructor(onSkip: (task: number, reason: string) => void) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const reason = this.#reason();
      if (!reason) return;
      this.#dialog.close();
      onSkip(this.#task, reason);
    });
    this.#form.addEventListener("input", (event) => this.#follow(event));
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
    find("[data-cancel]", this.#dialog).addEventListener("click", () => this.#dialog.close());
  }

  open(task: number): void {
    this.#task = task;
    this.#form.reset();
    this.#follow();
    this.#dialog.showModal();
    this.#choices()[0]?.focus();
  }

  /** There is nothing to skip any more. Returns whether somebody was about to. */
  close(): boolean {
    const wasOpen = this.#dialog.open;
    this.#dialog.close();
    return wasOpen;
  }

  #choices(): HTMLInputElement[] {
    return [...this.#form.querySelectorAll<HTMLInputElement>("[name=reason]")];
  }

  /** Own words replace the chosen reason when "something else" is chosen. */
  #reason(): string {
    const chosen = this.#choices().find((choice) => choice.checked)?.value ?? "";
    return chosen === "other" ? this.#words.value.trim() : chosen;
  }

  #follow(event?: Event): void {
    if (event?.target === this.#words) this.#choice("other").checked = true;
    const button = find<HTMLButtonElement>("[type=submit]", this.#form);
    button.disabled = this.#reason() === "";
  }

  #choice(value: string): HTMLInputElement {
    return find<HTMLInputElement>(`[name=reason][value="${value}"]`, this.#form);
  }

  #key(event: KeyboardEvent): void {
    if (event.target === this.#words || event.ctrlKey || event.altKey || event.metaKey) return;
    const choice = this.#choices()[Number(event.key) - 1];
    if (!choice) return;
    event.preventDefault();
    choice.checked = true;
    if (choice.value === "other") this.#words.focus();
    else choice.focus();
    this.#follow();
  }
}
