// Where a person is in rating answers one by one, and then in order: pure functions, no page.

export interface Flag {
  readonly name: string;
  readonly question: string;
}

export interface FlagSchema {
  readonly version: number;
  readonly flags: readonly Flag[];
}

export interface Rating {
  readonly overall: number | null;
  readonly flags: readonly string[];
}

/** `at` is the answer in view, counted as shown; after the last one comes the order. */
export interface Walk {
  readonly shown: readonly number[];
  readonly schema: FlagSchema;
  readonly ratings: readonly Rating[];
  readonly at: number;
}

export const MAX_RATING = 7;
const UNRATED: Rating = { overall: null, flags: [] };

type Stored = Readonly<Record<string, unknown>>;

export function schemaOf(details: Stored): FlagSchema {
  const { schema_version: version, flags } = details;
  return {
    version: typeof version === "number" ? version : 1,
    flags: (Array.isArray(flags) ? flags : []).map((flag: unknown) => ({
      name: String(recordOf(flag)["name"]),
      question: String(recordOf(flag)["question"]),
    })),
  };
}

/** Reads a stored draft; whatever does not fit the answers or the flags asked now is left out. */
export function walkFromDraft(shown: readonly number[], schema: FlagSchema, draft: unknown): Walk {
  const { ratings, at } = recordOf(draft);
  const stored = (Array.isArray(ratings) ? ratings : []).map(recordOf);
  const names = schema.flags.map(({ name }) => name);
  const walk = {
    shown,
    schema,
    ratings: shown.map((id) => ratingOf(stored.find((one) => one["completion"] === id), names)),
    at: shown.length,
  };
  const wanted = typeof at === "number" && Number.isInteger(at) && at >= 0 ? at : shown.length;
  return { ...walk, at: Math.min(wanted, furthest(walk)) };
}

/** How far one may go: to the first answer without a rating, or to the order. */
export function furthest(walk: Walk): number {
  const unrated = walk.ratings.findIndex(({ overall }) => overall === null);
  return unrated < 0 ? walk.shown.length : unrated;
}

export function isOrdering(walk: Walk): boolean {
  return walk.at >= walk.shown.length;
}

/** The same walk when that place cannot be reached yet. */
export function goTo(walk: Walk, at: number): Walk {
  return at < 0 || at > furthest(walk) || at === walk.at ? walk : { ...walk, at };
}

export function rate(walk: Walk, overall: number): Walk {
  if (overall < 1 || overall > MAX_RATING) return walk;
  return changed(walk, (rating) => ({ ...rating, overall }));
}

export function toggleFlag(walk: Walk, name: string): Walk {
  if (!walk.schema.flags.some((flag) => flag.name === name)) return walk;
  return changed(walk, (rating) => ({
    ...rating,
    flags: rating.flags.includes(name)
      ? rating.flags.filter((other) => other !== name)
      : [...rating.flags, name],
  }));
}

/** The payload's fields; those of answers that nothing was said about are left out. */
export function saidOf(walk: Walk): { ratings: object[]; schema_version: number } {
  const ratings = walk.ratings.flatMap(({ overall, flags }, index) => {
    if (overall === null && flags.length === 0) return [];
    return [{ completion: walk.shown[index], ...(overall === null ? {} : { overall }), flags }];
  });
  return { ratings, schema_version: walk.schema.version };
}

function changed(walk: Walk, change: (rating: Rating) => Rating): Walk {
  const ratings = walk.ratings.map((rating, index) => (index === walk.at ? change(rating) : rating));
  return { ...walk, ratings };
}

function ratingOf(stored: Stored | undefined, names: readonly string[]): Rating {
  if (!stored) return UNRATED;
  const { overall, flags } = stored;
  const fits =
    typeof overall === "number" &&
    Number.isInteger(overall) &&
    overall >= 1 &&
    overall <= MAX_RATING;
  const raised = Array.isArray(flags) ? flags : [];
  return { overall: fits ? overall : null, flags: names.filter((name) => raised.includes(name)) };
}

function recordOf(value: unknown): Stored {
  return value !== null && typeof value === "object" ? { ...value } : {};
}
