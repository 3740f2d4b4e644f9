// What a person has said so far about two answers: pure functions from one state to the next.
import { choiceOf, preferenceOf, TIE, type Choice, type Pair } from "./scale.ts";

/** What the project asks. */
export interface Asked {
  readonly levels: number;
  /** A tie beside the scale; an odd scale has its own. */
  readonly tie: boolean;
  readonly bothBad: boolean;
  readonly dimensions: readonly string[];
  readonly reason: "optional" | "required" | "off";
}

export interface Said {
  readonly asked: Asked;
  readonly shown: Pair;
  /** The overall choice, then one for each dimension. */
  readonly choices: readonly (Choice | null)[];
  readonly bothBad: boolean;
  readonly reason: string;
}

/** A row of the scale that still waits for its choice, or the reason. */
export type Missing = { readonly row: number } | "reason";

export function askedOf(options: Readonly<Record<string, unknown>>): Asked {
  const { levels, tie, both_bad: bothBad, dimensions, reason } = options;
  return {
    levels: typeof levels === "number" ? levels : 8,
    tie: tie !== false,
    bothBad: bothBad !== false,
    dimensions: Array.isArray(dimensions) ? dimensions.map(String) : [],
    reason: reason === "required" || reason === "off" ? reason : "optional",
  };
}

/** Reads a stored draft; whatever does not fit what is asked now is ignored. */
export function saidFromDraft(asked: Asked, shown: Pair, draft: unknown): Said {
  const stored: Readonly<Record<string, unknown>> =
    draft !== null && typeof draft === "object" ? { ...draft } : {};
  const isSameScale = stored["levels"] === undefined || stored["levels"] === asked.levels;
  const dimensions = stored["dimensions"];
  const parts = dimensions !== null && typeof dimensions === "object" ? { ...dimensions } : {};
  const values = [stored, ...asked.dimensions.map((name) => Object(parts)[name])];
  const read = (value: unknown) => (isSameScale ? choiceOf(value, shown, asked.levels) : null);
  return {
    asked,
    shown,
    choices: values.map(read).map((choice) => (choice === TIE && !takesTie(asked) ? null : choice)),
    bothBad: asked.bothBad && stored["both_bad"] === true,
    reason: typeof stored["reason"] === "string" ? stored["reason"] : "",
  };
}

export function takesTie(asked: Asked): boolean {
  return asked.tie || asked.levels % 2 === 1;
}

export function choose(said: Said, row: number, choice: Choice): Said {
  return { ...said, choices: said.choices.map((before, at) => (at === row ? choice : before)) };
}

export function missing(said: Said): Missing | null {
  const row = said.choices.findIndex((_, index) => choiceAt(said, index) === null);
  if (row >= 0) return { row };
  return said.asked.reason === "required" && !said.reason.trim() ? "reason" : null;
}

/** Of two bad answers neither is better, unless a person says which. */
export function choiceAt(said: Said, row: number): Choice | null {
  const choice = said.choices[row] ?? null;
  return choice === null && row === 0 && said.bothBad && takesTie(said.asked) ? TIE : choice;
}

/** What was said, in the form of the payload; complete once nothing is missing. */
export function payloadOf(said: Said): object {
  const { asked, shown } = said;
  const parts = asked.dimensions.flatMap((name, index) => {
    const choice = choiceAt(said, index + 1);
    return choice ? [[name, preferenceOf(choice, shown)] as const] : [];
  });
  const overall = choiceAt(said, 0);
  return {
    ...(overall ? preferenceOf(overall, shown) : {}),
    levels: asked.levels,
    both_bad: said.bothBad,
    dimensions: Object.fromEntries(parts),
    reason: said.reason.trim(),
  };
}
