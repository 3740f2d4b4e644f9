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

/** Why a model's replies did not come, with what to do about it. */
export function failureOf({ code, error }: { code: string; error: string }): string {
  const failure = new ApiError(code, error, 409);
  const known = messageOf(failure);
  return known === null ? error : `${known} ${remedyOf(failure)}`.trim();
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
  "comparison_strength_off_scale",
  "flag_schema_unknown",
  "rating_unknown_flag",
  "prompt_form_refused",
  "unknown_kind",
]);

// Only a page that is out of date, or has a defect, sends what these refuse.
const NOT_UNDERSTOOD: ReadonlySet<string> = new Set([
  "parse_error",
  "invalid_input",
  "method_not_allowed",
  "not_acceptable",
  "unsupported_media_type",
  "conflict",
  "draft_unknown",
  "statements_mismatch",
  "ranking_incomplete",
  "ranking_repeats_completion",
  "ranking_unknown_completion",
  "comparison_unknown_completion",
  "no_conversation",
  "turn_choice_invalid",
  "conversation_turn_invalid",
]);

function messageOf({ code, status, extra }: ApiError): string | null {
  if (status === 401) return gettext("You are not logged in any more.");
  if (ASKED_OTHERWISE.has(code)) {
    return gettext("The project asks something else by now than it did when you began.");
  }
  if (NOT_UNDERSTOOD.has(code)) return gettext("The server could not use what this page sent.");
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
    case "not_found":
      return gettext("This is not there any more, or you no longer take part in its project.");
    case "permission_denied":
      return gettext("You may not do this here.");
    case "body_too_large":
    case "demonstration_too_long":
    case "prompt_too_long":
      return gettext("This is longer than it may be.");
    case "demonstration_empty":
    case "prompt_incomplete":
      return gettext("Something is still empty.");
    case "turn_text_invalid":
      return gettext("The message is empty, too long, or has signs that cannot be stored.");
    case "turn_unanswered":
      return gettext("This message has no reply yet, or none was chosen.");
    case "conversation_too_short":
      return gettext("The project asks for more turns than the conversation has.");
    case "conversation_too_long":
      return gettext("The conversation has more turns than the project takes.");
    case "reply_failed":
      return gettext("The model could not write a reply.");
    case "reply_dropped":
      return gettext("You no longer held this task, so no reply was written.");
    case "reply_unheard":
      return gettext("No reply was written in time: nothing works on replies now.");
    case "reply_too_slow":
      return gettext("The model took too long.");
    case "reply_out_of_room":
      return gettext("The conversation is too long for the model.");
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
  if (ASKED_OTHERWISE.has(code) || NOT_UNDERSTOOD.has(code)) {
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
    case "body_too_large":
    case "demonstration_too_long":
    case "prompt_too_long":
    case "turn_text_invalid":
      return gettext("Change it and send it again.");
    case "turn_unanswered":
      return gettext("Choose one, or end at an earlier turn.");
    case "conversation_too_short":
      return gettext("Go on with it.");
    case "conversation_too_long":
    case "reply_out_of_room":
      return gettext("Hand in what there is, or go on from an earlier turn.");
    case "reply_failed":
    case "reply_unheard":
    case "reply_too_slow":
      return gettext("Try again; if it fails again, tell an admin of the project.");
    case "undo_refused":
    case "reply_dropped":
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
