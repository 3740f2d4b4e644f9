// Shows where the answers of a page differ: each against the one in focus, or the first.
import { renderDiff } from "./diff.ts";
import { renderText, sourceOf } from "./text.ts";

export class Diffing {
  #shown: HTMLElement[] = [];

  get isOn(): boolean {
    return this.#shown.some((box) => box.isConnected && box.classList.contains("diff"));
  }

  /** Switches the view; false when this page has nothing to compare now. */
  toggle(answers: HTMLElement): boolean {
    if (this.isOn) {
      this.end();
      return true;
    }
    const boxes = [...answers.querySelectorAll<HTMLElement>(".rich")].filter(isShown);
    const base = boxes.find(holdsFocus) ?? boxes[0];
    if (!base || boxes.length < 2) return false;
    base.classList.add("diff-base");
    this.#shown = boxes.filter((box) => box !== base);
    for (const box of this.#shown) renderDiff(box, sourceOf(base) ?? "", sourceOf(box) ?? "");
    return true;
  }

  end(): void {
    for (const box of this.#shown) {
      if (box.classList.contains("diff")) renderText(box, sourceOf(box) ?? "");
    }
    for (const base of document.querySelectorAll(".diff-base")) base.classList.remove("diff-base");
    this.#shown = [];
  }
}

function isShown(box: HTMLElement): boolean {
  return sourceOf(box) !== undefined && box.getClientRects().length > 0;
}

/** The focus is in the answer, or on the card around it. */
function holdsFocus(box: HTMLElement): boolean {
  return (box.closest("article") ?? box).contains(document.activeElement);
}
