// What went wrong with one thing that the page does, in view, and the next try of it.
import { ApiError, loginAddress } from "../api/client.ts";
import { gettext, interpolate } from "./i18n.ts";
import { Problem, type WayOn } from "./problem.ts";
import { isPassing, Retry } from "./retry.ts";

export class Trouble {
  readonly #problem: Problem;
  readonly #about: string;
  readonly #retry = new Retry();

  /** `about`: what waits, where it is not what the whole page is for. */
  constructor(box: HTMLElement, about = "") {
    this.#problem = new Problem(box);
    this.#about = about;
  }

  /** Trouble that passes is waited for, then `again` is called. False: this will not pass. */
  waits(error: unknown, again: () => void): boolean {
    if (isPassing(error)) this.#tryLater(error, again);
    else if (isLoggedOut(error)) this.#awaitLogin(error, again);
    else return false;
    return true;
  }

  show(error: unknown, wayOn: WayOn, others: readonly WayOn[] = [], note = ""): void {
    this.#problem.show(error, wayOn, others, `${this.#about} ${note}`.trim());
  }

  /** Nothing is in view and nothing is tried any more. */
  drop(): void {
    this.#retry.cancel();
    this.#problem.hide();
  }

  /** The next trouble starts with a short pause again. */
  worked(): void {
    this.#retry.reset();
  }

  #tryLater(error: ApiError, again: () => void): void {
    const seconds = this.#retry.schedule(error, again);
    const note = interpolate(gettext("The page tries again by itself in %(seconds)s seconds."), {
      seconds,
    });
    this.show(error, { label: gettext("Try again"), action: again }, [], note);
  }

  #awaitLogin(error: unknown, again: () => void): void {
    const logIn = () => {
      window.open(loginAddress(), "_blank", "noopener");
      return true;
    };
    this.#retry.onReturn(again);
    this.show(error, { label: gettext("Try again"), action: again }, [
      { label: gettext("Log in"), action: logIn },
    ]);
  }
}

function isLoggedOut(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 401 || error.code === "csrf_failed");
}
