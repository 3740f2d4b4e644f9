// How the page is looked at: raw or drawn, side by side or stacked, with differences, prompt shut.
import { Diffing } from "./diffing.ts";
import { el, find } from "./dom.ts";
import { gettext } from "./i18n.ts";
import { recall, remember } from "./preferences.ts";
import { isRaw, toggleRaw } from "./text.ts";

export class ViewOptions {
  readonly #root = find("[data-work]");
  readonly #raw = find("[data-raw]");
  readonly #layout = find("[data-layout-button]");
  readonly #differences = find("[data-diff]");
  readonly #answers = document.querySelector<HTMLElement>("[data-judging] [data-answers]");
  readonly #diffing = new Diffing();
  readonly #say: (sentence: string) => void;

  constructor(say: (sentence: string) => void) {
    this.#say = say;
    this.#raw.addEventListener("click", () => this.raw());
    this.#layout.addEventListener("click", () => this.layout());
    this.#differences.addEventListener("click", () => this.differences());
    // Buttons and lines about keys that need more than one answer.
    for (const element of document.querySelectorAll<HTMLElement>("[data-several]")) {
      element.hidden = this.#answers === null;
    }
    this.#root.dataset["layout"] = recall("layout") || "side";
    const chat = document.querySelector<HTMLElement>("[data-judging] [data-chat][data-pins]");
    if (chat) pinPrompt(chat);
    this.#draw();
  }

  /** Another task is shown. */
  open(): void {
    this.#diffing.end();
    this.#draw();
  }

  raw(): boolean {
    this.#diffing.end();
    this.#say(toggleRaw() ? gettext("Texts as they were written.") : gettext("Texts as drawn."));
    return this.#drawn();
  }

  layout(): boolean {
    if (!this.#answers) return false;
    const stacked = this.#root.dataset["layout"] !== "stacked";
    this.#root.dataset["layout"] = stacked ? "stacked" : "side";
    remember("layout", stacked ? "stacked" : "");
    this.#say(
      stacked ? gettext("Answers one below the other.") : gettext("Answers side by side."),
    );
    return this.#drawn();
  }

  differences(): boolean {
    if (!this.#answers || !this.#diffing.toggle(this.#answers)) return false;
    this.#say(
      this.#diffing.isOn
        ? gettext("What the other answers change of the marked one.")
        : gettext("The answers as they are."),
    );
    return this.#drawn();
  }

  #drawn(): true {
    this.#draw();
    return true;
  }

  #draw(): void {
    this.#raw.setAttribute("aria-pressed", String(isRaw()));
    this.#layout.setAttribute(
      "aria-pressed",
      String(this.#root.dataset["layout"] === "stacked"),
    );
    this.#differences.setAttribute("aria-pressed", String(this.#diffing.isOn));
  }
}

/** The prompt stays in view while long answers scroll, and can be folded away. */
function pinPrompt(chat: HTMLElement): void {
  chat.id ||= "prompt";
  chat.tabIndex = 0;
  chat.setAttribute("aria-label", gettext("The prompt"));
  const fold = el("button", {
    type: "button",
    class: "button small quiet",
    "aria-controls": chat.id,
  });
  const box = el("div", { class: "pinned" });
  chat.before(box);
  box.append(chat, fold);
  const draw = () => {
    const folded = recall("prompt") === "folded";
    box.classList.toggle("folded", folded);
    fold.setAttribute("aria-expanded", String(!folded));
    fold.textContent = folded ? gettext("Show") : gettext("Fold");
    const label = folded ? gettext("Show the prompt") : gettext("Fold the prompt");
    fold.setAttribute("aria-label", label);
  };
  fold.addEventListener("click", () => {
    remember("prompt", box.classList.contains("folded") ? "" : "folded");
    draw();
  });
  draw();
}
