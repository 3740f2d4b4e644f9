// What the page calls the places on the scale, and what it still waits for.
import { gettext, interpolate } from "../components/i18n.ts";
import type { Choice } from "./scale.ts";
import { choiceAt, missing, type Said } from "./state.ts";

export function choiceName(choice: Choice, levels: number): string {
  if (choice.better === null) return gettext("A and B are equally good");
  const degrees = degreesOf(Math.floor(levels / 2));
  return interpolate(degrees[choice.strength - 1] ?? "", { answer: "AB"[choice.better] ?? "" });
}

/** One sentence on the overall choice, then what is left. */
export function summary(said: Said): string {
  const choice = choiceAt(said, 0);
  const overall = choice ? [`${choiceName(choice, said.asked.levels)}.`] : [];
  const both = said.bothBad ? [gettext("Both are bad.")] : [];
  return [...overall, ...both, nextSentence(said)].join(" ");
}

export function nextSentence(said: Said): string {
  const left = missing(said);
  if (left === null) return gettext("Press Enter or the button.");
  if (left === "reason") return gettext("Say why: this project asks for a reason.");
  const name = said.asked.dimensions[left.row - 1];
  if (name === undefined) return gettext("Choose on the scale first.");
  return interpolate(gettext("Still to choose: %(name)s."), { name });
}

/** From the weakest to the strongest. */
function degreesOf(half: number): string[] {
  const barely = gettext("%(answer)s is barely better");
  const slightly = gettext("%(answer)s is slightly better");
  const better = gettext("%(answer)s is better");
  const much = gettext("%(answer)s is much better");
  if (half === 1) return [better];
  if (half === 2) return [slightly, much];
  return half === 3 ? [slightly, better, much] : [barely, slightly, better, much];
}
