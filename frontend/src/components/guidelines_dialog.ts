// The guidelines one key away: the version this task follows, and word of a newer one.
import * as api from "../api/assignments.ts";
import type { Presentation } from "../api/assignments.ts";
import { find } from "./dom.ts";
import { gettext, interpolate } from "./i18n.ts";
import { renderText } from "./text.ts";

export class GuidelinesDialog {
  readonly #dialog = find<HTMLDialogElement>("#guidelines-dialog");
  readonly #newer = find<HTMLElement>("[data-newer]", this.#dialog);
  readonly #read = find<HTMLButtonElement>("[data-read-newer]", this.#dialog);
  readonly #mark = find("[data-guidelines-news]");
  readonly #project: string;
  #of: Presentation["guidelines"] = { version: 0, text: "", latest: 0 };

  constructor(project: string) {
    this.#project = project;
    this.#read.addEventListener("click", () => void this.#showNewer());
  }

  /** Another task, maybe taken under another version. */
  follow({ guidelines }: Presentation): void {
    this.#of = guidelines;
    this.#mark.hidden = guidelines.latest <= guidelines.version;
  }

  open(): void {
    const { version, latest, text } = this.#of;
    this.#show(version, text);
    this.#newer.hidden = latest <= version;
    this.#read.hidden = false;
    find("[data-newer-words]", this.#newer).textContent = interpolate(
      gettext(
        "Version %(latest)s has been published since you took this task. This task still counts " +
          "under version %(version)s; the next one follows the new version.",
      ),
      { latest, version },
    );
    this.#dialog.showModal();
  }

  async #showNewer(): Promise<void> {
    const newest = await api.guidelines(this.#project).catch(() => null);
    if (!newest) return;
    this.#show(newest.version, newest.text);
    this.#read.hidden = true;
  }

  #show(version: number, text: string): void {
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
