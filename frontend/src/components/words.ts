// Compares two texts by words, or by lines when words would take too long.
import { diffLines, diffWords, type ChangeObject } from "diff";

export type Change =
  | { readonly same: string }
  | { readonly removed: string }
  | { readonly added: string };

const TIMEOUT_MS = 150;

export function wordChanges(before: string, after: string): Change[] {
  // The segmenter knows the words of languages that put no spaces between them.
  const intlSegmenter =
    "Segmenter" in Intl ? new Intl.Segmenter(undefined, { granularity: "word" }) : undefined;
  const changes =
    diffWords(before, after, { timeout: TIMEOUT_MS, intlSegmenter }) ??
    diffLines(before, after, { timeout: TIMEOUT_MS });
  return changes ? changes.map(changeOf) : [{ removed: before }, { added: after }];
}

function changeOf({ added, removed, value }: ChangeObject<string>): Change {
  if (added) return { added: value };
  return removed ? { removed: value } : { same: value };
}
