// Asks again and again while the page is in view; a failure only makes it wait longer.

const SLOWEST_MS = 30_000;

/** `ask` resolves with false to end the polling. */
export function poll(intervalMs: number, ask: () => Promise<boolean>): void {
  let wait = intervalMs;
  let timer = 0;
  const turn = async () => {
    try {
      if (!(await ask())) return;
      wait = intervalMs;
    } catch {
      wait = Math.min(wait * 2, SLOWEST_MS);
    }
    schedule();
  };
  const schedule = () => {
    window.clearTimeout(timer);
    if (!document.hidden) timer = window.setTimeout(() => void turn(), wait);
  };
  document.addEventListener("visibilitychange", schedule);
  schedule();
}
