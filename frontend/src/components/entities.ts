// Names of characters, such as &eacute;. In place of the package "entities", which markdown-it asks
// and which brings 16 kB of names: the browser knows them as well.
const NAME = /^&[a-z][a-z0-9]{1,31};$/i;
const known = new Map<string, string>();

/** The characters of one name with its "&" and ";", or what was given when there is none. */
export function decodeHTMLStrict(name: string): string {
  const before = known.get(name);
  if (before !== undefined) return before;
  const characters = NAME.test(name) ? lookedUp(name) : name;
  known.set(name, characters);
  return characters;
}

/** The one place where something of a stranger is read as HTML: it has letters and digits alone. */
function lookedUp(name: string): string {
  // After a letter, because white space that comes first would be dropped.
  const read = new DOMParser().parseFromString(`x${name}`, "text/html").body.textContent ?? "";
  // Of "&notit;" browsers read the beginning.
  const isWhole = !read.endsWith(";") || name === "&semi;";
  return isWhole ? read.slice(1) : name;
}
