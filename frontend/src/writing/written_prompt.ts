// A prompt as the person is writing it: all forms at once, so that changing the form loses nothing.
import { gettext, interpolate } from "../components/i18n.ts";
import { tooLong, tooLongSentence } from "./length.ts";

export type Form = "plain" | "few_shot" | "use_case";

export interface Pair {
  readonly query: string;
  readonly response: string;
}

export interface WrittenPrompt {
  readonly form: Form;
  readonly text: string;
  readonly instruction: string;
  readonly pairs: readonly Pair[];
  readonly use_case: string;
}

const FORMS: readonly Form[] = ["plain", "few_shot", "use_case"];

/** Of whatever the server says it takes: the forms this page knows, at least one. */
export function formsOf(offered: unknown): readonly Form[] {
  const known = FORMS.filter((form) => Array.isArray(offered) && offered.includes(form));
  return known.length ? known : ["plain"];
}

/** What was saved, in the form the task takes now; a task with a use case begins with that. */
export function promptOf(saved: unknown, forms: readonly Form[], numPairs: number): WrittenPrompt {
  const fields = fieldsOf(saved);
  const begin = forms.includes("use_case") ? "use_case" : forms[0];
  const pairs = Array.isArray(fields["pairs"]) ? (fields["pairs"] as unknown[]) : [];
  return {
    form: forms.find((form) => form === fields["form"]) ?? begin ?? "plain",
    text: textOf(fields["text"]),
    instruction: textOf(fields["instruction"]),
    pairs: Array.from({ length: numPairs }, (_, index) => {
      const pair = fieldsOf(pairs[index]);
      return { query: textOf(pair["query"]), response: textOf(pair["response"]) };
    }),
    use_case: textOf(fields["use_case"]),
  };
}

export function payloadOf(prompt: WrittenPrompt): object {
  const { form, use_case, text, instruction, pairs } = prompt;
  return form === "few_shot"
    ? { form, use_case, instruction: instruction.trim(), pairs: pairs.map(trimmed) }
    : { form, use_case, text: text.trim() };
}

/** The first thing that is missing, in a sentence; null when the prompt can be sent. */
export function missingOf(prompt: WrittenPrompt): string | null {
  const unwritten = prompt.form === "few_shot" ? missingPart(prompt) : missingText(prompt);
  if (unwritten) return unwritten;
  if (tooLong(wholeOf(prompt))) return tooLongSentence();
  return prompt.use_case ? null : gettext("Say what kind of prompt it is.");
}

/** Every word of the form in use, for counting. */
export function wholeOf({ form, text, instruction, pairs }: WrittenPrompt): string {
  if (form !== "few_shot") return text;
  return [instruction, ...pairs.flatMap(({ query, response }) => [query, response])].join("\n");
}

function missingText({ text }: WrittenPrompt): string | null {
  return text.trim() ? null : gettext("Write a prompt first.");
}

function missingPart({ instruction, pairs }: WrittenPrompt): string | null {
  if (!instruction.trim()) return gettext("Write the instruction first.");
  const at = pairs.findIndex(({ query, response }) => !query.trim() || !response.trim());
  const pair = pairs[at];
  if (!pair) return null;
  const sentence = pair.query.trim()
    ? gettext("Write the response of example %(number)s.")
    : gettext("Write the query of example %(number)s.");
  return interpolate(sentence, { number: at + 1 });
}

function trimmed({ query, response }: Pair): Pair {
  return { query: query.trim(), response: response.trim() };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
