// What the page says about an order, on screen and to screen readers.
import { gettext, interpolate } from "../components/i18n.ts";
import { groupIndex, isComplete, letterOf, placeOf, unplaced, type Order } from "./order.ts";

export function ordinal(number: number): string {
  return interpolate(ordinalFormat(number), { number });
}

export function listed(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return interpolate(gettext("%(first)s and %(last)s"), {
    first: words.slice(0, -1).join(gettext(", ")),
    last: words.at(-1) ?? "",
  });
}

/** "1st", or "Tied 1st". */
export function placeName(number: number, tied: boolean): string {
  const place = ordinal(number);
  return tied ? interpolate(gettext("Tied %(place)s"), { place }) : place;
}

export function placeLabel(order: Order, id: number): string {
  const at = placeOf(order, id);
  return at ? placeName(at.number, at.tied) : gettext("Not placed yet");
}

export function remaining(order: Order): string {
  if (isComplete(order)) return gettext("All answers are placed.");
  const letters = listed(unplaced(order).map((id) => letterOf(order, id)));
  return interpolate(gettext("Still to place: %(letters)s."), { letters });
}

/** One sentence on where `id` stands now, then what is left. */
export function announcement(order: Order, id: number): string {
  const end = isComplete(order)
    ? gettext("All answers are placed. Press Enter to submit.")
    : remaining(order);
  return `${standing(order, id)} ${end}`;
}

export function allBadSentence(isAllBad: boolean): string {
  return isAllBad
    ? gettext("All answers are bad, the first one too. Put them in order all the same.")
    : gettext("Not all answers are bad.");
}

function standing(order: Order, id: number): string {
  const letter = letterOf(order, id);
  const group = order.groups[groupIndex(order, id)];
  if (!group) return interpolate(gettext("%(letter)s is not placed any more."), { letter });
  const others = group.filter((other) => other !== id).map((other) => letterOf(order, other));
  const format =
    others.length > 0
      ? gettext("%(letter)s is %(place)s, tied with %(others)s.")
      : gettext("%(letter)s is %(place)s.");
  const place = ordinal(groupIndex(order, id) + 1);
  return interpolate(format, { letter, place, others: listed(others) });
}

function ordinalFormat(number: number): string {
  const isTeen = Math.floor(number / 10) % 10 === 1;
  if (!isTeen && number % 10 === 1) return gettext("%(number)sst");
  if (!isTeen && number % 10 === 2) return gettext("%(number)snd");
  if (!isTeen && number % 10 === 3) return gettext("%(number)srd");
  return gettext("%(number)sth");
}
