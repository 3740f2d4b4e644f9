// The evidence page: each citing statement beside its source, then the answer as a whole.
import type { Presentation } from "../api/assignments.ts";
import { el, find } from "../components/dom.ts";
import { gettext, interpolate } from "../components/i18n.ts";
import { Session, type Judgement } from "../components/session.ts";
import { emptyText } from "../components/empty_text.ts";
import { renderText } from "../components/text.ts";
import { commandOf } from "../evidence/keys.ts";
import { Sources } from "../evidence/sources.ts";
import * as verdicts from "../evidence/verdicts.ts";
import type { Place, Statement, Verdicts } from "../evidence/verdicts.ts";
import { isSubmit } from "../writing/keys.ts";

class Evidence implements Judgement {
  readonly #session: Session;
  readonly #sources = new Sources();
  readonly #answer = find("[data-answer-parts]");
  readonly #page = find("[data-evidence]");
  readonly #submit = find<HTMLButtonElement>("[data-submit]");
  #statements: readonly Statement[] = [];
  #verdicts: Verdicts = verdicts.verdictsOf([], null);
  #place: Place = "whole";
  #busy = false;

  constructor(session: Session) {
    this.#session = session;
    this.#page.addEventListener("focusin", (event) => this.#focused(event.target));
    this.#page.addEventListener("click", (event) => this.#clicked(event.target));
    this.#submit.addEventListener("click", () => void session.submit());
  }

  open(task: Presentation, draft: unknown): void {
    this.#statements = (task.details["statements"] ?? []) as readonly Statement[];
    this.#verdicts = verdicts.verdictsOf(this.#statements, draft);
    this.#sources.open(task.prompt?.sources ?? []);
    const parts = this.#statements.map((statement) => this.#part(statement));
    this.#answer.replaceChildren(...(parts.length ? parts : [emptyText()]));
    this.#draw();
    const [first] = verdicts.places(this.#verdicts);
    const start = verdicts.isComplete(this.#verdicts)
      ? "whole"
      : this.#verdicts.said.size
        ? verdicts.nextOpen(this.#verdicts, "whole")
        : (first ?? "whole");
    this.#go(start, false);
  }

  payload(seconds: number): object | null {
    if (!verdicts.isComplete(this.#verdicts)) return null;
    return { ...verdicts.payloadOf(this.#verdicts), seconds_spent: seconds };
  }

  missing(): string {
    return verdicts.remaining(this.#verdicts);
  }

  busy(busy: boolean): void {
    this.#busy = busy;
    this.#submit.classList.toggle("busy", busy);
    this.#submit.setAttribute("aria-busy", String(busy));
  }

  key(event: KeyboardEvent): boolean {
    const command = isScrolling(event) ? null : commandOf(event);
    if (command?.does === "mark") this.#mark(this.#place, command.isSupported);
    else if (command?.does === "move") {
      this.#go(verdicts.neighbour(this.#verdicts, this.#place, command.direction));
    } else if (isSubmit(event)) void this.#session.submit();
    else return false;
    return true;
  }

  #mark(place: Place, isSupported: boolean): void {
    if (this.#busy) return;
    this.#verdicts = verdicts.mark(this.#verdicts, place, isSupported);
    this.#draw();
    this.#session.changed(verdicts.payloadOf(this.#verdicts));
    this.#session.announce(verdicts.remaining(this.#verdicts));
    this.#go(verdicts.nextOpen(this.#verdicts, place));
  }

  #go(place: Place, scrolls = true): void {
    const card = find(`[data-place="${place}"]`);
    card.focus({ preventScroll: true });
    if (scrolls) card.scrollIntoView({ block: "nearest" });
    this.#at(place);
  }

  #at(place: Place): void {
    this.#place = place;
    for (const card of this.#page.querySelectorAll<HTMLElement>("[data-place]")) {
      card.classList.toggle("current", card.dataset["place"] === String(place));
    }
    const statement = place === "whole" ? undefined : this.#statements[place];
    this.#sources.point(statement?.sources ?? []);
  }

  #focused(target: EventTarget | null): void {
    const place = placeOf(target);
    if (place !== null && place !== this.#place) this.#at(place);
  }

  #clicked(target: EventTarget | null): void {
    const place = placeOf(target);
    if (place === null || !(target instanceof Element)) return;
    const verdict = target.closest<HTMLElement>("[data-verdict]")?.dataset["verdict"];
    if (verdict) this.#mark(place, verdict === "yes");
    else this.#at(place);
  }

  #draw(): void {
    for (const button of this.#page.querySelectorAll<HTMLElement>("[data-verdict]")) {
      const said = verdicts.verdictAt(this.#verdicts, placeOf(button) ?? "whole");
      const isYes = button.dataset["verdict"] === "yes";
      button.setAttribute("aria-pressed", String(said === isYes));
    }
    const ready = verdicts.isComplete(this.#verdicts);
    this.#submit.setAttribute("aria-disabled", String(!ready));
    find("[data-why]").textContent = verdicts.remaining(this.#verdicts);
  }

  #part(statement: Statement): HTMLElement {
    const text = el("div", { class: "prose" });
    renderText(text, statement.text.trim());
    return statement.sources.length ? this.#card(statement, text) : text;
  }

  #card({ index, sources }: Statement, text: HTMLElement): HTMLElement {
    const values = {
      number: this.#verdicts.citing.indexOf(index) + 1,
      total: this.#verdicts.citing.length,
    };
    const label = interpolate(gettext("Statement %(number)s of %(total)s"), values);
    const cites = el("ul", { class: "cites", "aria-label": gettext("What it cites") });
    cites.append(...sources.map((number) => this.#cite(number)));
    return el(
      "div",
      { class: "statement", role: "group", "aria-label": label, tabindex: -1, "data-place": index },
      text,
      cites,
      el("div", { class: "actions" }, verdictButton(false), verdictButton(true)),
    );
  }

  #cite(number: number): HTMLElement {
    const title = this.#sources.title(number);
    const name = title ?? gettext("There is no such source");
    const tag = title === undefined ? "tag bad" : "tag";
    return el("li", { class: tag }, `[${number}] `, el("span", { dir: "auto" }, name));
  }
}

/** The arrows belong to the sources while these have the focus. */
function isScrolling({ key, target }: KeyboardEvent): boolean {
  return key.startsWith("Arrow") && (target as HTMLElement).closest("[data-source-panel]") !== null;
}

function verdictButton(isYes: boolean): HTMLElement {
  const attributes = { type: "button", class: "button small", "aria-pressed": "false" };
  const words = isYes ? gettext("Supported") : gettext("Not supported");
  const key = el("kbd", {}, isYes ? "Y" : "N");
  return el("button", { ...attributes, "data-verdict": isYes ? "yes" : "no" }, words, " ", key);
}

function placeOf(target: EventTarget | null): Place | null {
  const card = target instanceof Element ? target.closest<HTMLElement>("[data-place]") : null;
  const place = card?.dataset["place"];
  if (place === undefined) return null;
  return place === "whole" ? place : Number(place);
}

new Session((session) => new Evidence(session));
