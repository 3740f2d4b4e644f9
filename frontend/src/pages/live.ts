// Keeps the moving parts of a page fresh: the server renders them, here they are swapped in.
import { morph } from "../components/morph.ts";
import { poll } from "../components/poll.ts";

const EVERY_MS = 2_000;

/** True when a part has come into another state, so that the page around it no longer fits. */
function refresh(html: string): boolean {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  let changed = false;
  for (const part of fresh.querySelectorAll<HTMLElement>("[data-live-part]")) {
    const shown = document.getElementById(part.id);
    if (!shown) continue;
    changed ||= shown.dataset["liveState"] !== part.dataset["liveState"];
    morph(shown, part);
  }
  return changed;
}

for (const box of document.querySelectorAll<HTMLElement>("[data-live-url]")) {
  const url = box.dataset["liveUrl"] ?? "";
  if (box.querySelector("[data-live-over]")) continue;
  poll(EVERY_MS, async () => {
    const response = await fetch(url, { headers: { Accept: "text/html" } });
    // Logged out: the answer is the login page, which has no live part.
    if (!response.ok || response.redirected) throw new Error(`status ${response.status}`);
    const changed = refresh(await response.text());
    const over = box.querySelector("[data-live-over]") !== null;
    // The buttons beside the live part follow the state, too.
    if (over || changed) window.setTimeout(() => window.location.reload(), EVERY_MS);
    return !over && !changed;
  });
}
