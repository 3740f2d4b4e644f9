// Tells the project's reviewers about the task: content to look at, or something broken.
import type { ReportKind } from "../api/assignments.ts";
import { find, isComposing } from "./dom.ts";
import type { Report } from "./reports.ts";

export class ReportDialog {
  readonly #dialog = find<HTMLDialogElement>("#report-dialog");
  readonly #form = find<HTMLFormElement>("form", this.#dialog);
  readonly #words = find<HTMLTextAreaElement>("[name=words]", this.#form);

  #task = 0;

  /** Reports what the dialog was opened for: it stays open, and to the point, when that is over. */
  constructor(onReport: (report: Report) => void) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#text) return;
      this.#dialog.close();
      const kind = this.#choice.value as ReportKind;
      onReport({ task: this.#task, kind, text: this.#text });
    });
    this.#form.addEventListener("input", () => this.#follow());
    this.#dialog.addEventListener("keydown", (event) => {
      const sends = event.key === "Enter" && (event.ctrlKey || event.metaKey);
      if (sends && !isComposing(event)) this.#form.requestSubmit();
    });
    find("[data-cancel]", this.#dialog).addEventListener("click", () => this.#dialog.close());
  }

  open(kind: ReportKind, task: number): void {
    this.#task = task;
    this.#form.reset();
    find<HTMLInputElement>(`[name=kind][value=${kind}]`, this.#form).checked = true;
    this.#follow();
    this.#dialog.showModal();
    this.#words.focus();
  }

  get #text(): string {
    return this.#words.value.trim();
  }

  get #choice(): HTMLInputElement {
    return find<HTMLInputElement>("[name=kind]:checked", this.#form);
  }

  #follow(): void {
    find<HTMLButtonElement>("[type=submit]", this.#form).disabled = !this.#text;
  }
}
