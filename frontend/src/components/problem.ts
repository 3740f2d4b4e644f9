// Says what went wrong and what to do, with the stable code; offers the ways on as buttons.
import { ApiError } from "../api/client.ts";
import { el } from "./dom.ts";
import { gettext } from "./i18n.ts";

export interface WayOn {
  readonly label: string;
  /** Giving back true keeps the message in view. */
  readonly action: () => unknown;
}

export class Problem {
  readonly #box: HTMLElement;

  constructor(box: HTMLElement) {
    this.#box = box;
  }

  /** `note` is a sentence that changes, such as when the next try comes. */
  show(error: unknown, wayOn: WayOn, others: readonly WayOn[] = [], note = ""): void {
    const known = error instanceof ApiError ? error : unexpected(error);
    const { message, remedy } = wordsOf(known);
    const text = el("p", {}, el("strong", {}, message), " ", remedy, note ? ` ${note}` : "");
    const code = el("code", {}, known.code);
    const buttons = [wayOn, ...others].map((way) => this.#button(way));
    this.#box.replaceChildren(text, el("div", { class: "problem-foot" }, ...buttons, code));
    this.#box.hidden = false;
    this.#box.scrollIntoView({ block: "nearest" });
  }

  hide(): void {
    this.#box.hidden = true;
    this.#box.replaceChildren();
  }

  #button({ label, action }: WayOn): HTMLButtonElement {
    const button = el("button", { type: "button", class: "button small" }, label);
    button.addEventListener("click", () => {
      if (action() !== true) this.hide();
    });
    return button;
  }
}

export interface Words {
  readonly message: string;
  readonly remedy: string;
}

/** In the person's own language where we know the code, else as the server said it. */
export function wordsOf(error: ApiError): Words {
  const known = messageOf(error);
  if (known !== null) return { message: known, remedy: remedyOf(error) };
  return { message: error.message, remedy: remedyOf(error) };
}

// The page asked as the project did when it was opened; an admin has changed that since.
const ASKED_OTHERWISE: ReadonlySet<string> = new Set([
  "comparison_scale_changed",
  "comparison_dimension_missing",
  "comparison_dimension_unknown",
  "comparison_reason_missing",
  "tie_not_offered",
  "both_bad_not_offered",
  "all_bad_not_offered",
]);

function messageOf({ code, status, extra }: ApiError): string | null {
  if (status === 401) return gettext("You are not logged in any more.");
  if (ASKED_OTHERWISE.has(code)) {
    return gettext("The project asks something else by now than it did when you began.");
  }
  switch (code) {
    case "server_unreachable":
      return gettext("The server could not be reached.");
    case "http_502":
    case "http_503":
    case "http_504":
      return gettext("The server is starting again.");
    case "csrf_failed":
      return gettext("Your session has changed.");
    case "throttled":
      return gettext("That was too much at once for the server.");
    case "assignment_expired":
      return gettext("You no longer hold this task: its reservation ran out.");
    case "assignment_withdrawn":
      return gettext("This task was withdrawn while you had it open.");
    case "assignment_already_submitted":
      return gettext("This task was submitted before; nothing was stored twice.");
    case "assignment_not_active":
      return gettext("You skipped this task before.");
    case "labeler_excluded":
      return gettext("Your work in this project was withdrawn, so there is none for you now.");
    case "consent_needed":
      return gettext("This work may upset people, and you have not agreed to its warning.");
    case "exposure_cap_reached":
      return gettext("You have done as much of this work for today as the project allows.");
    case "undo_refused":
      return undoMessage(String(extra["why"]));
    case "no_live_policy":
      return gettext("No policy replies to people in this project now.");
    case "replies_open":
      return gettext("You wait for the replies to other messages already.");
    case "reply_attempts_exhausted":
      return gettext("This message was answered as often as it may be.");
    case "replies_not_offered":
      return gettext("This project offers no suggestions.");
    case "conversation_full":
      return gettext("This conversation has as many turns as it may have.");
    case "turn_settled":
      return gettext("The conversation went on from this turn, so its choice stands.");
    case "prompt_exists":
      return gettext("The project has this very prompt already.");
    case "page_error":
      return gettext("Something on this page went wrong.");
    default:
      return null;
  }
}

function undoMessage(why: string): string {
  switch (why) {
    case "late":
      return gettext("That was submitted too long ago to be taken back.");
    case "frozen":
      return gettext("A training round holds that judgement already; it cannot be taken back.");
    case "used":
      return gettext("Others have worked on with that judgement; it cannot be taken back.");
    default:
      return gettext("Only what was submitted can be taken back.");
  }
}

function remedyOf({ code, status }: ApiError): string {
  if (status === 401 || code === "csrf_failed") {
    return gettext("Log in again in another tab, then come back and try again. Nothing is lost.");
  }
  if (ASKED_OTHERWISE.has(code)) {
    return gettext("Reload the page: what still fits of your work is kept.");
  }
  switch (code) {
    case "server_unreachable":
      return gettext("Check your connection and try again. Your work is kept on this device.");
    case "http_502":
    case "http_503":
    case "http_504":
      return gettext("Your work is kept on this device.");
    case "throttled":
      return gettext("Wait a moment, then try again.");
    case "assignment_expired":
      return gettext("Your work is kept. Take the task up again, then submit.");
    case "assignment_withdrawn":
      return gettext("Nobody needs this judgement now. What you wrote is kept.");
    case "assignment_already_submitted":
    case "assignment_not_active":
      return gettext("Go on with the next one.");
    case "labeler_excluded":
      return gettext("An admin of the project can admit you again.");
    case "no_live_policy":
      return gettext("Your words are kept. Tell an admin of the project, or do other work.");
    case "replies_open":
      return gettext("Wait until one of them is answered, then try again.");
    case "reply_attempts_exhausted":
      return gettext("Choose among the replies there are, or say it in other words.");
    case "replies_not_offered":
      return gettext("Write the answer yourself.");
    case "conversation_full":
      return gettext("Finish it.");
    case "turn_settled":
      return gettext("Ask for other replies to try another way.");
    case "prompt_exists":
      return gettext("Write another one, or change this one.");
    case "consent_needed":
      return gettext("Reload the page to read the warning.");
    case "exposure_cap_reached":
      return gettext("Choose other work from your list, or come back tomorrow.");
    case "undo_refused":
      return "";
    default:
      return status === 400 || status === 403
        ? ""
        : gettext("Your work is kept. Try again, or reload the page.");
  }
}

function unexpected(error: unknown): ApiError {
  console.error(error);
  return new ApiError("page_error", "Something on this page went wrong.", 0);
}
