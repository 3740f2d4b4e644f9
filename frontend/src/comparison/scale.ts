// A scale of 2 to 9 levels between two answers: floor(levels / 2) strengths on each side, 1 the
// weakest, and on an odd scale a tie in the middle. Pure: no page in sight.

/** Which of the two shown is better, and by how many steps from the middle; null: a tie. */
export interface Choice {
  readonly better: 0 | 1 | null;
  readonly strength: number;
}

/** A choice as the server knows it. */
export interface Preference {
  readonly preferred: number | null;
  readonly strength?: number;
}

export type Pair = readonly [number, number];

export const TIE: Choice = { better: null, strength: 0 };

/** The places along the scale, from "the first is much better" to "the second is much better". */
export function scaleOf(levels: number): Choice[] {
  const half = Math.floor(levels / 2);
  const strengths = Array.from({ length: half }, (_, index) => index + 1);
  const first = [...strengths].reverse().map((strength): Choice => ({ better: 0, strength }));
  const second = strengths.map((strength): Choice => ({ better: 1, strength }));
  return [...first, ...(levels % 2 ? [TIE] : []), ...second];
}

export function isSame(one: Choice | null, other: Choice | null): boolean {
  return one?.better === other?.better && one?.strength === other?.strength;
}

export function preferenceOf(choice: Choice, shown: Pair): Preference {
  if (choice.better === null) return { preferred: null };
  return { preferred: shown[choice.better], strength: choice.strength };
}

/** Reads a preference back; null when it is none, or not on a scale of so many levels. */
export function choiceOf(value: unknown, shown: Pair, levels: number): Choice | null {
  if (value === null || typeof value !== "object" || !("preferred" in value)) return null;
  if (value.preferred === null) return TIE;
  const better = shown.findIndex((id) => id === value.preferred);
  const strength = "strength" in value ? value.strength : undefined;
  const said = scaleOf(levels).find(
    (choice) => choice.better === better && choice.strength === strength,
  );
  return said ?? null;
}
