// "Copy my text": what the person wrote goes to the clipboard, when it can go nowhere else.
import { gettext } from "./i18n.ts";
import type { WayOn } from "./problem.ts";

/** The way out for the words of a draft; none where there are no words. */
export function copying(draft: unknown): WayOn[] {
  const words = wordsOf(draft);
  if (!words) return [];
  const copy = () => {
    void navigator.clipboard.writeText(words);
    return true;
  };
  return [{ label: gettext("Copy my text"), action: copy }];
}

// Many languages write without spaces, so words are told from the names of a choice by what no
// name has.
const NAME = /^[a-z0-9_]*$/;

/** The texts in it, without the structure. */
export function wordsOf(draft: unknown): string {
  if (typeof draft === "string") return NAME.test(draft.trim()) ? "" : draft;
  if (draft === null || typeof draft !== "object") return "";
  return Object.values(draft).map(wordsOf).filter(Boolean).join("\n\n");
}
