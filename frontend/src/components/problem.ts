// Says what went wrong and what to do, with the stable code; offers the way on as a button.
import { ApiError } from "../api/client.ts";
import { el } from "./dom.ts";

const REMEDIES: Readonly<Record<string, string>> = {
  server_unreachable: "Check your connection and try again. Your work is kept on this device.",
  not_authenticated: "Log in again in another tab, then come back and try again. Nothing is lost.",
  csrf_failed: "Log in again in another tab, then come back and try again. Nothing is lost.",
  assignment_expired: "Your work is kept. Take the task up again, then submit.",
  assignment_already_submitted: "It is stored once. Go on with the next one.",
  throttled: "Wait a moment, then try again.",
};
const FALLBACK = "Your work is kept. Try again, or reload the page.";

export interface WayOn {
  readonly label: string;
  readonly action: () => void;
}

export class Problem {
  readonly #box: HTMLElement;

  constructor(box: HTMLElement) {
    this.#box = box;
  }

  show(error: unknown, wayOn: WayOn): void {
    const known = error instanceof ApiError ? error : unexpected(error);
    const text = el("p", {}, el("strong", {}, known.message), " ", remedyOf(known));
    const code = el("code", {}, known.code);
    const button = el("button", { type: "button", class: "button small" }, wayOn.label);
    button.addEventListener("click", () => {
      this.hide();
      wayOn.action();
    });
    this.#box.replaceChildren(text, el("div", { class: "problem-foot" }, button, code));
    this.#box.hidden = false;
    this.#box.scrollIntoView({ block: "nearest" });
  }

  hide(): void {
    this.#box.hidden = true;
    this.#box.replaceChildren();
  }
}

function remedyOf(error: ApiError): string {
  if (error.status === 401) return REMEDIES["not_authenticated"] ?? FALLBACK;
  return REMEDIES[error.code] ?? (error.status === 400 ? "" : FALLBACK);
}

function unexpected(error: unknown): ApiError {
  console.error(error);
  return new ApiError("page_error", "Something on this page went wrong.", 0);
}
