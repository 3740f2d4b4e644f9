// Draws LaTeX as MathML, which the browser sets itself. Loaded when a text has a formula.
import temml, { type Options } from "temml";

// \def and friends could build a formula without end, and rules as wide as the sky.
const LIMITS: Options = { trust: false, strict: false, maxExpand: 200, maxSize: [20, 200] };
const SLICE_MS = 12;

const TAGS = new Set(
  (
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle merror mpadded mphantom msub " +
    "msup msubsup munder mover munderover mmultiscripts mprescripts none mtable mtr mtd menclose"
  ).split(" "),
);
const ATTRIBUTES = new Set(
  (
    "class style accent accentunder columnalign columnlines columnspacing depth display " +
    "displaystyle fence form frame height largeop linethickness lspace mathcolor mathvariant " +
    "maxsize minsize movablelimits notation rowalign rowlines rowspacing rspace scriptlevel " +
    "separator side stretchy symmetric voffset width"
  ).split(" "),
);

/** Each box holds the source until its formula is drawn; one that cannot be drawn keeps it. */
export function drawFormulas(boxes: readonly HTMLElement[]): void {
  const started = performance.now();
  for (const [index, box] of boxes.entries()) {
    if (performance.now() - started > SLICE_MS) {
      // The page stays quick however many there are.
      window.setTimeout(() => drawFormulas(boxes.slice(index)));
      return;
    }
    drawFormula(box);
  }
}

function drawFormula(box: HTMLElement): void {
  const drawn = document.createElement("span");
  try {
    temml.render(box.dataset["formula"] ?? "", drawn, {
      ...LIMITS,
      displayMode: box.classList.contains("block"),
      throwOnError: true,
    });
  } catch {
    return;
  }
  const formula = drawn.querySelector("math");
  if (!formula || !isHarmless(formula)) return;
  formula.setAttribute("aria-label", box.textContent ?? "");
  box.replaceChildren(formula);
}

/** Temml promises as much without `trust`; a formula that breaks the promise stays source text. */
function isHarmless(root: Element): boolean {
  return [root, ...root.querySelectorAll("*")].every(
    (element) =>
      TAGS.has(element.localName) &&
      element.getAttributeNames().every((name) => ATTRIBUTES.has(name)) &&
      !/url|position|expression/i.test(element.getAttribute("style") ?? ""),
  );
}
