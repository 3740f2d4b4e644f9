// Changes a live piece of page into its new version in place: focus, scroll and animations survive.

export function morph(from: Element, to: Element): void {
  morphAttributes(from, to);
  const wanted = [...to.childNodes];
  for (const [index, next] of wanted.entries()) {
    const current = from.childNodes[index];
    if (!current) from.append(next);
    else if (!sameKind(current, next)) current.replaceWith(next);
    else if (current instanceof Element) morph(current, next as Element);
    else if (current.nodeValue !== next.nodeValue) current.nodeValue = next.nodeValue;
  }
  while (from.childNodes.length > wanted.length) from.lastChild?.remove();
}

function sameKind(a: Node, b: Node): boolean {
  return a.nodeName === b.nodeName && (a as Element).id === (b as Element).id;
}

function morphAttributes(from: Element, to: Element): void {
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name)) from.removeAttribute(name);
  }
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}
