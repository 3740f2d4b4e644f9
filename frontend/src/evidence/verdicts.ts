// What the person has said so far: of each citing statement, and of the answer as a whole.
import { gettext, interpolate, ngettext } from "../components/i18n.ts";

export interface Statement {
  readonly index: number;
  readonly text: string;
  readonly sources: readonly number[];
}

export interface Verdicts {
  readonly citing: readonly number[];
  readonly said: ReadonlyMap<number, boolean>;
  readonly whole: boolean | null;
}

/** A place to judge: a statement's index, or the answer as a whole. */
export type Place = number | "whole";

export function verdictsOf(statements: readonly Statement[], draft: unknown): Verdicts {
  const citing = statements.filter(({ sources }) => sources.length).map(({ index }) => index);
  const fields = fieldsOf(draft);
  const listed = Array.isArray(fields["statements"]) ? (fields["statements"] as unknown[]) : [];
  const said = new Map<number, boolean>();
  for (const { index, is_supported } of listed.map(fieldsOf)) {
    const at = citing.find((known) => known === index);
    if (at !== undefined && typeof is_supported === "boolean") said.set(at, is_supported);
  }
  const whole = fields["is_supported"];
  return { citing, said, whole: typeof whole === "boolean" ? whole : null };
}

export function mark(verdicts: Verdicts, place: Place, isSupported: boolean): Verdicts {
  if (place === "whole") return { ...verdicts, whole: isSupported };
  return { ...verdicts, said: new Map([...verdicts.said, [place, isSupported]]) };
}

export function verdictAt(verdicts: Verdicts, place: Place): boolean | null {
  return place === "whole" ? verdicts.whole : (verdicts.said.get(place) ?? null);
}

export function places({ citing }: Verdicts): readonly Place[] {
  return [...citing, "whole"];
}

/** The next place after this one; at either end it stays. */
export function neighbour(verdicts: Verdicts, place: Place, direction: -1 | 1): Place {
  const all = places(verdicts);
  return all[all.indexOf(place) + direction] ?? place;
}

/** Where to go after a verdict: the next open place, looking on from this one and then from the top. */
export function nextOpen(verdicts: Verdicts, place: Place): Place {
  const all = places(verdicts);
  const after = all.indexOf(place) + 1;
  const open = (candidate: Place) => verdictAt(verdicts, candidate) === null;
  return [...all.slice(after), ...all.slice(0, after)].find(open) ?? "whole";
}

export function isComplete(verdicts: Verdicts): boolean {
  return places(verdicts).every((place) => verdictAt(verdicts, place) !== null);
}

/** Also the draft: then some of it is missing. */
export function payloadOf({ citing, said, whole }: Verdicts): object {
  const statements = citing
    .filter((index) => said.has(index))
    .map((index) => ({ index, is_supported: said.get(index) }));
  return { statements, ...(whole === null ? {} : { is_supported: whole }) };
}

export function remaining({ citing, said, whole }: Verdicts): string {
  const num = citing.length - said.size;
  if (num > 0) {
    const sentence = ngettext(
      "%(num)s statement is still to check.",
      "%(num)s statements are still to check.",
      num,
    );
    return interpolate(sentence, { num });
  }
  return whole === null
    ? gettext("Now the answer as a whole.")
    : gettext("All checked. Press Enter or the button.");
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" ? (value as Record<string, unknown>) : {};
}
