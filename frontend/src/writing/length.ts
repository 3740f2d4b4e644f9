// How long a text is, as the person reads it under the box.
import { gettext, interpolate, ngettext } from "../components/i18n.ts";

export const MAX_CHARACTERS = 32_000;
const NEARLY_FULL = 0.95;
// Scripts without spaces: each character counts as a word.
const WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[^\s\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+/gu;

/** In Unicode characters, as the server counts. */
export function characters(text: string): number {
  let pairs = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code >= 0xd800 && code < 0xdc00) pairs += 1;
  }
  return text.length - pairs;
}

export function words(text: string): number {
  return text.match(WORD)?.length ?? 0;
}

export function lengthSentence(text: string): string {
  const num = words(text);
  const counted = interpolate(ngettext("%(num)s word", "%(num)s words", num), { num });
  const size = characters(text);
  if (size <= MAX_CHARACTERS * NEARLY_FULL) return counted;
  const limit = gettext("%(size)s of %(maximum)s characters");
  const maximum = MAX_CHARACTERS.toLocaleString();
  return `${counted} · ${interpolate(limit, { size: size.toLocaleString(), maximum })}`;
}

export function tooLong(text: string): boolean {
  return characters(text.trim()) > MAX_CHARACTERS;
}

export function tooLongSentence(): string {
  const maximum = MAX_CHARACTERS.toLocaleString();
  return interpolate(gettext("This is longer than %(maximum)s characters. Shorten it."), {
    maximum,
  });
}
