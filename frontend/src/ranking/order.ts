// The order a person is building: pure functions from one state to the next, no page in sight.
//
// `shown` lists the completion ids as displayed (A, B, C, ...). `groups` holds the places given so
// far, best first; ids in one group are tied. It starts empty: nothing is accepted by default.
// Every function returns the same object when there is nothing to change.

export interface Order {
  readonly shown: readonly number[];
  readonly groups: readonly (readonly number[])[];
}

export interface Place {
  readonly number: number;
  readonly tied: boolean;
}

export function orderStart(shown: readonly number[]): Order {
  return { shown, groups: [] };
}

export function letterOf(order: Order, id: number): string {
  return String.fromCharCode(65 + order.shown.indexOf(id));
}

export function idOfLetter(order: Order, letter: string): number | undefined {
  return order.shown[letter.toUpperCase().charCodeAt(0) - 65];
}

export function groupIndex(order: Order, id: number): number {
  return order.groups.findIndex((group) => group.includes(id));
}

/** The place of an answer, counted without gaps: two tied at 1 are followed by 2. */
export function placeOf(order: Order, id: number): Place | null {
  const index = groupIndex(order, id);
  const group = order.groups[index];
  return group ? { number: index + 1, tied: group.length > 1 } : null;
}

export function unplaced(order: Order): number[] {
  return order.shown.filter((id) => groupIndex(order, id) < 0);
}

export function isComplete(order: Order): boolean {
  return unplaced(order).length === 0;
}

/** Gives an unplaced answer the next place, below all others. */
export function place(order: Order, id: number): Order {
  if (!isFree(order, id)) return order;
  return { ...order, groups: [...order.groups, [id]] };
}

/** Ties an unplaced answer with the last place, or a placed one with the place above it. */
export function tie(order: Order, id: number): Order {
  const index = groupIndex(order, id);
  if (index >= 0) return index === 0 ? order : joinGroup(order, id, index - 1);
  if (order.groups.length === 0) return place(order, id);
  return joinGroup(order, id, order.groups.length - 1);
}

/** Out of a tie into a place of its own just below; otherwise into the place above. */
export function toggleTie(order: Order, id: number): Order {
  if (placeOf(order, id)?.tied) return insertAt(order, id, groupIndex(order, id) + 1);
  return groupIndex(order, id) < 0 ? order : tie(order, id);
}

export function remove(order: Order, id: number): Order {
  if (groupIndex(order, id) < 0) return order;
  return { ...order, groups: without(order.groups, id) };
}

/** Takes back the answer in the last place; of tied answers, the one that came last. */
export function removeLast(order: Order): Order {
  const last = order.groups.at(-1)?.at(-1);
  return last === undefined ? order : remove(order, last);
}

export function clear(order: Order): Order {
  return order.groups.length === 0 ? order : orderStart(order.shown);
}

/** One step up (-1) or down (+1): past its neighbor, or out of its tie on that side. */
export function move(order: Order, id: number, direction: -1 | 1): Order {
  const index = groupIndex(order, id);
  if (index < 0) return order;
  const tied = (order.groups[index] ?? []).length > 1;
  if (tied) return insertAt(order, id, direction < 0 ? index : index + 1);
  const target = index + direction;
  if (target < 0 || target >= order.groups.length) return order;
  return insertAt(order, id, direction < 0 ? target : target + 1);
}

/** Its own place in the gap before group `gap` of the present order (`groups.length` = the end). */
export function insertAt(order: Order, id: number, gap: number): Order {
  if (!order.shown.includes(id)) return order;
  const above = without(order.groups.slice(0, gap), id);
  const below = without(order.groups.slice(gap), id);
  return changed(order, [...above, [id], ...below]);
}

/** Ties with group `index` of the present order. */
export function joinGroup(order: Order, id: number, index: number): Order {
  const target = order.groups[index];
  if (!target || target.includes(id) || !order.shown.includes(id)) return order;
  const joined = order.groups.map((group) => (group === target ? [...group, id] : drop(group, id)));
  return { ...order, groups: joined.filter((group) => group.length > 0) };
}

/** Reads a stored draft; whatever does not fit the answers shown is ignored. */
export function orderFromDraft(shown: readonly number[], draft: unknown): Order {
  const seen = new Set<number>();
  const fits = (id: unknown): id is number => {
    const known = typeof id === "number" && shown.includes(id) && !seen.has(id);
    if (known) seen.add(id);
    return known;
  };
  const stored = draft !== null && typeof draft === "object" && "order" in draft ? draft.order : [];
  const groups = (Array.isArray(stored) ? stored : []).map((group: unknown) =>
    (Array.isArray(group) ? group : []).filter(fits),
  );
  return { shown, groups: groups.filter((group) => group.length > 0) };
}

function isFree(order: Order, id: number): boolean {
  return order.shown.includes(id) && groupIndex(order, id) < 0;
}

function drop(group: readonly number[], id: number): readonly number[] {
  return group.includes(id) ? group.filter((other) => other !== id) : group;
}

function without(groups: readonly (readonly number[])[], id: number): (readonly number[])[] {
  return groups.map((group) => drop(group, id)).filter((group) => group.length > 0);
}

function changed(order: Order, groups: (readonly number[])[]): Order {
  return JSON.stringify(groups) === JSON.stringify(order.groups) ? order : { ...order, groups };
}
