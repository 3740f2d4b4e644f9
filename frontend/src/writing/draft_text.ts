// The answer in the box, and whether it edits a model's draft. Nothing written is ever lost: what
// is not in the box lies aside, and comes back when the person changes their mind.

export interface ModelDraft {
  readonly id: number;
  readonly text: string;
}

export interface Writing {
  readonly text: string;
  /** Beside an edited draft: their own words. Else: the draft as they had edited it, if they had. */
  readonly aside: string;
  readonly edits: ModelDraft | null;
}

export const NOTHING: Writing = { text: "", aside: "", edits: null };

export function startFrom(writing: Writing, draft: ModelDraft): Writing {
  if (writing.edits) return writing;
  return { text: writing.aside || draft.text, aside: writing.text, edits: draft };
}

export function discard(writing: Writing): Writing {
  if (!writing.edits) return writing;
  return { text: writing.aside, aside: writing.text, edits: null };
}

export function payloadOf({ text, edits }: Writing): object {
  return { text: text.trim(), ...(edits ? { edited_from: edits.id } : {}) };
}

export function savedOf({ text, aside, edits }: Writing): object {
  return { text, ...(edits ? { edited_from: edits.id } : {}), ...(aside ? { aside } : {}) };
}

/** `offered` is the draft that this task was given, if it asked for one. */
export function writingOf(saved: unknown, offered: ModelDraft | null): Writing {
  if (saved === null || typeof saved !== "object") return NOTHING;
  const field = (name: string) => (saved as Record<string, unknown>)[name];
  const textAt = (name: string) => {
    const value = field(name);
    return typeof value === "string" ? value : "";
  };
  const edits = offered && field("edited_from") === offered.id ? offered : null;
  return { text: textAt("text"), aside: textAt("aside"), edits };
}
