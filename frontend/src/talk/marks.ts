// Which reply carries which mark, as plain values. No reply carries two.

export type Mark = "chosen" | "most_harmful";
export type Marked = Readonly<Partial<Record<Mark, number | null>>>;

/** A reply that gets a mark loses its other one. Where two replies share two marks, one says both. */
export function marked(
  before: Marked,
  mark: Mark,
  reply: number,
  wanted: readonly Mark[],
  replies: readonly number[],
): Marked {
  const other = wanted.find((each) => each !== mark);
  if (!other) return { [mark]: reply };
  const rest = replies.filter((id) => id !== reply);
  if (rest.length === 1) return { [mark]: reply, [other]: rest[0] ?? null };
  return { [mark]: reply, [other]: before[other] === reply ? null : (before[other] ?? null) };
}

export function missingMark(marks: Marked, wanted: readonly Mark[]): Mark | null {
  return wanted.find((mark) => (marks[mark] ?? null) === null) ?? null;
}
