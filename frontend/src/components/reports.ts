// Words for the reviewers: kept until the server has them, whatever the person does meanwhile.
import * as api from "../api/assignments.ts";
import type { ReportKind } from "../api/assignments.ts";
import { copying } from "./copying.ts";
import { find } from "./dom.ts";
import { gettext } from "./i18n.ts";
import { recall, remember } from "./preferences.ts";
import { Trouble } from "./trouble.ts";

export interface Report {
  readonly task: number;
  readonly kind: ReportKind;
  readonly text: string;
}

export class Reports {
  readonly #trouble = new Trouble(
    find("[data-report-problem]"),
    gettext("Your report waits to be sent."),
  );
  readonly #name: string;
  readonly #onSent: () => void;
  #waiting: Report[];
  #sending = false;

  /** `name`: under which the browser remembers them; what a reload left behind is sent at once. */
  constructor(name: string, onSent: () => void) {
    this.#name = `reports:${name}`;
    this.#onSent = onSent;
    this.#waiting = reportsOf(recall(this.#name));
    void this.#send();
  }

  add(report: Report): void {
    this.#keep([...this.#waiting, report]);
    void this.#send();
  }

  async #send(): Promise<void> {
    const [first] = this.#waiting;
    if (!first || this.#sending) return;
    this.#sending = true;
    this.#trouble.drop();
    try {
      await api.report(first.task, first.kind, first.text);
    } catch (error) {
      this.#failed(error, first);
      return;
    } finally {
      this.#sending = false;
    }
    this.#trouble.worked();
    this.#onSent();
    this.#goOnWithout(first);
  }

  #failed(error: unknown, report: Report): void {
    if (this.#trouble.waits(error, () => void this.#send())) return;
    const goOn = { label: gettext("Go on"), action: () => this.#goOnWithout(report) };
    this.#trouble.show(error, goOn, copying(report.text));
  }

  #goOnWithout(report: Report): void {
    this.#keep(this.#waiting.filter((waiting) => waiting !== report));
    void this.#send();
  }

  #keep(waiting: Report[]): void {
    this.#waiting = waiting;
    remember(this.#name, waiting.length ? JSON.stringify(waiting) : "");
  }
}

function reportsOf(kept: string): Report[] {
  try {
    const reports: unknown = JSON.parse(kept || "[]");
    return Array.isArray(reports) ? (reports as Report[]) : [];
  } catch {
    return [];
  }
}
