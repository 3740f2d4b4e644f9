// What one text changed of another, word by word.
import { el } from "./dom.ts";
import { gettext } from "./i18n.ts";
import type { Change } from "./words.ts";

/** Shows `after` with what it took out of `before`. The box says so once the comparison is done. */
export function renderDiff(box: HTMLElement, before: string, after: string): void {
  box.dir = "auto";
  box.classList.add("rich", "diff");
  box.dataset["view"] = "plain";
  if (before === after) {
    box.replaceChildren(el("em", { class: "muted" }, gettext("The two texts are the same.")));
    return;
  }
  const wanted = `${before}\u0000${after}`;
  asked.set(box, wanted);
  if (!box.hasChildNodes()) box.replaceChildren(after);
  void import("./words.ts").then(
    ({ wordChanges }) => {
      if (asked.get(box) === wanted) box.replaceChildren(...drawn(wordChanges(before, after)));
    },
    () => box.replaceChildren(...drawn([{ removed: before }, { added: after }])),
  );
}

// The newest request for each box: the library may come after the next task has.
const asked = new WeakMap<HTMLElement, string>();

function drawn(changes: readonly Change[]): (Node | string)[] {
  return changes.map((change) => {
    if ("same" in change) return change.same;
    return "removed" in change
      ? el("del", {}, change.removed)
      : el("ins", {}, change.added);
  });
}
