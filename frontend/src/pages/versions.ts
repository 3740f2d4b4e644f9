// A version's text, once somebody opens it, with what it changed of the one before.
import { renderDiff } from "../components/diff.ts";

for (const version of document.querySelectorAll<HTMLDetailsElement>("[data-diff]")) {
  version.addEventListener("toggle", () => show(version), { once: true });
}

function show(version: HTMLElement): void {
  const after = version.querySelector<HTMLElement>("[data-after]");
  const before = version.querySelector("[data-before]")?.textContent ?? "";
  if (after && before !== "") renderDiff(after, before, after.textContent ?? "");
}
