// The words of the page in the person's language.

type Words = Readonly<Record<string, string | readonly string[]>>;

/** Written by the script that the page loads before this one; English pages have none. */
declare global {
  var preferendumWords: Words | undefined;
}

export function gettext(text: string): string {
  const known = globalThis.preferendumWords?.[text];
  return typeof known === "string" && known !== "" ? known : text;
}

/** Knows languages with one form, such as Chinese, and those that part one from many. */
export function ngettext(one: string, many: string, count: number): string {
  const forms = globalThis.preferendumWords?.[one];
  const known = Array.isArray(forms) ? (count === 1 ? forms[0] : forms.at(-1)) : undefined;
  return known || (count === 1 ? one : many);
}

/** Puts values into a translated sentence: `%(name)s` becomes `values.name`. */
export function interpolate(
  format: string,
  values: Readonly<Record<string, string | number>>,
): string {
  return format.replace(/%\((\w+)\)s/g, (whole, name: string) => String(values[name] ?? whole));
}
