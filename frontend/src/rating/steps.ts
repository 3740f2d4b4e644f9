// The way through a rating: a button for each answer with its number, and one for the order.
import { el } from "../components/dom.ts";
import { gettext, interpolate } from "../components/i18n.ts";
import { furthest, type Walk } from "./state.ts";

export function drawSteps(list: HTMLElement, walk: Walk, goTo: (at: number) => void): void {
  const had = list.contains(document.activeElement);
  const answers = walk.ratings.map(({ overall }, index) =>
    step(walk, index, answerWords(letterAt(index), overall), goTo),
  );
  const order = step(walk, walk.shown.length, [gettext("Order")], goTo);
  list.replaceChildren(...answers, order);
  if (had) list.querySelector<HTMLElement>('[aria-current="step"]')?.focus();
}

export function letterAt(index: number): string {
  return String.fromCharCode(65 + index);
}

function answerWords(letter: string, overall: number | null): (Node | string)[] {
  const name = interpolate(gettext("Answer %(letter)s"), { letter });
  const hidden = el("span", { class: "visually-hidden" }, ` ${name}`);
  return [letter, hidden, ...(overall === null ? [] : [el("b", {}, ` ${overall}`)])];
}

function step(
  walk: Walk,
  at: number,
  words: (Node | string)[],
  goTo: (at: number) => void,
): HTMLElement {
  const button = el("button", { type: "button", class: "button small quiet" }, ...words);
  button.disabled = at > furthest(walk);
  if (at === walk.at) button.setAttribute("aria-current", "step");
  button.addEventListener("click", () => goTo(at));
  return el("li", {}, button);
}
