// What the page says about an order, on screen and to screen readers.
import { groupIndex, isComplete, letterOf, placeOf, unplaced, type Order } from "./order.ts";

export function ordinal(number: number): string {
  const suffix = ["th", "st", "nd", "rd"][number % 10 > 3 ? 0 : number % 10] ?? "th";
  return `${number}${Math.floor(number / 10) % 10 === 1 ? "th" : suffix}`;
}

export function listed(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

export function placeLabel(order: Order, id: number): string {
  const at = placeOf(order, id);
  if (!at) return "Not placed yet";
  return at.tied ? `Tied ${ordinal(at.number)}` : ordinal(at.number);
}

export function remaining(order: Order): string {
  if (isComplete(order)) return "All answers are placed.";
  const letters = listed(unplaced(order).map((id) => letterOf(order, id)));
  return `Still to place: ${letters}.`;
}

/** One sentence on where `id` stands now, then what is left. */
export function announcement(order: Order, id: number): string {
  const letter = letterOf(order, id);
  const group = order.groups[groupIndex(order, id)];
  if (!group) return `${letter} is not placed any more. ${remaining(order)}`;
  const others = group.filter((other) => other !== id).map((other) => letterOf(order, other));
  const tied = others.length > 0 ? `, tied with ${listed(others)}` : "";
  const end = isComplete(order) ? "All answers are placed. Press Enter to submit." : remaining(order);
  return `${letter} is ${ordinal(groupIndex(order, id) + 1)}${tied}. ${end}`;
}
