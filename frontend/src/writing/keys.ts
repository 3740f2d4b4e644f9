// Keys of pages where people write: they must not take a letter away from the text.

/** The letter or digit pressed with Alt alone; on a Mac the character itself would be another. */
export function altKey(event: KeyboardEvent): string | null {
  if (!event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.repeat) return null;
  return /^(?:Key|Digit)(\w)$/.exec(event.code)?.[1]?.toLowerCase() ?? null;
}

/** Ctrl+Enter anywhere; Enter where it is neither a new line nor a press of a button. */
export function isSubmit(event: KeyboardEvent): boolean {
  if (event.key !== "Enter" || event.repeat) return false;
  if (event.ctrlKey || event.metaKey) return true;
  const target = event.target as HTMLElement;
  return target.closest("button, a, summary, textarea, input, select") === null;
}

/** Esc leaves a text field, so that single letters are keys again. */
export function leaves(event: KeyboardEvent): boolean {
  const field = event.target;
  const isField = field instanceof HTMLElement && field.matches("textarea, input");
  if (event.key !== "Escape" || !isField) return false;
  field.blur();
  return true;
}
