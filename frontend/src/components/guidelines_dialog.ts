// The guidelines one key away: the version this task follows, and word of one not read yet.
import * as api from "../api/assignments.ts";
import type { Presentation } from "../api/assignments.ts";
import { find } from "./dom.ts";
import { gettext, interpolate } from "./i18n.ts";
import { recall, remember } from "./preferences.ts";
import { renderText } from "./text.ts";

export class GuidelinesDialog {
  readonly #dialog = find<HTMLDialogElement>("#guidelines-dialog");
  readonly #newer = find<HTMLElement>("[data-newer]", this.#dialog);
  readonly #readNewer = find<HTMLButtonElement>("[data-read-newer]", this.#dialog);
  readonly #mark = find("[data-guidelines-news]");
  readonly #project: string;
  readonly #name: string;
  #of: Presentation["guidelines"] = { version: 0, text: "", latest: 0 };
  /** As far as any answer of the server has told. */
  #newest = 0;
  /** The newest one that the person has read; null on the very first visit. */
  #read: number | null;

  constructor(project: string, person: string) {
    this.#project = project;
    this.#name = `guidelines:${person}:${project}`;
    this.#read = numberOf(recall(this.#name));
    this.#readNewer.addEventListener("click", () => void this.#showNewer());
  }

  /** Another task, maybe taken under another version. */
  follow({ guidelines }: Presentation): void {
    this.#of = guidelines;
    this.hear(guidelines.latest);
  }

  /** Word of the newest version, also while the person is still at an older task. */
  hear(latest: number): void {
    this.#newest = Math.max(this.#newest, latest);
    if (this.#read === null) this.#keepRead(this.#newest);
    this.#draw();
  }

  open(): true {
    const { version, text } = this.#of;
    const latest = this.#newest;
    this.#show(version, text);
    this.#newer.hidden = latest <= version;
    this.#readNewer.hidden = false;
    find("[data-newer-words]", this.#newer).textContent = interpolate(
      gettext(
        "Version %(latest)s has been published since you took this task. This task still counts " +
          "under version %(version)s; the next one follows the new version.",
      ),
      { latest, version },
    );
    this.#dialog.showModal();
    return true;
  }

  async #showNewer(): Promise<void> {
    const newest = await api.guidelines(this.#project).catch(() => null);
    if (!newest) return;
    this.#show(newest.version, newest.text);
    this.#readNewer.hidden = true;
  }

  #keepRead(version: number): void {
    this.#read = Math.max(version, this.#read ?? 0);
    remember(this.#name, String(this.#read));
  }

  #draw(): void {
    this.#mark.hidden = this.#newest <= (this.#read ?? 0);
  }

  #show(version: number, text: string): void {
    this.#keepRead(version);
    this.#draw();
    find("[data-guidelines-version]", this.#dialog).textContent = version
      ? interpolate(gettext("Version %(version)s"), { version })
      : "";
    const none = gettext(
      "This project has no written guidelines yet. Judge as a careful person would who asked " +
        "the question.",
    );
    renderText(find("[data-guidelines]", this.#dialog), text.trim() ? text : none);
  }
}

function numberOf(kept: string): number | null {
  return kept === "" ? null : Number(kept) || 0;
}
