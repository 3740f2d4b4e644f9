// The comparison page: two answers, a scale between them, and nothing more than one key to say it.
import type { Presentation } from "../api/assignments.ts";
import { commandOf, type Command } from "../comparison/keys.ts";
import { ScaleRow } from "../comparison/row.ts";
import { scaleOf, TIE, type Choice, type Pair } from "../comparison/scale.ts";
import * as states from "../comparison/state.ts";
import type { Said } from "../comparison/state.ts";
import { choiceName, nextSentence, summary } from "../comparison/words.ts";
import { el, find, isTyping } from "../components/dom.ts";
import { gettext, interpolate } from "../components/i18n.ts";
import { Session, type Judgement } from "../components/session.ts";
import { renderText } from "../components/text.ts";

class Comparison implements Judgement {
  readonly #session: Session;
  readonly #submit = find<HTMLButtonElement>("[data-submit]");
  readonly #bothBad = find<HTMLButtonElement>("[data-both-bad]");
  readonly #reason = find<HTMLTextAreaElement>("[data-reason]");
  #said: Said = states.saidFromDraft(states.askedOf({}), [0, 0], null);
  #rows: ScaleRow[] = [];
  #row = 0;

  constructor(session: Session) {
    this.#session = session;
    this.#submit.addEventListener("click", () => void session.submit());
    this.#bothBad.addEventListener("click", () => this.#toggleBothBad());
    this.#reason.addEventListener("input", () => {
      this.#said = { ...this.#said, reason: this.#reason.value };
      this.#settle();
    });
  }

  open(task: Presentation, draft: unknown): void {
    const [a, b] = task.completions.map(({ id }) => id);
    const shown: Pair = [a ?? 0, b ?? 0];
    this.#said = states.saidFromDraft(states.askedOf(task.options), shown, draft);
    this.#row = 0;
    find("[data-answers]").replaceChildren(...task.completions.map(answerCard));
    this.#reason.value = this.#said.reason;
    this.#drawRows();
    this.#draw();
    find("[data-answer]").focus({ preventScroll: true });
  }

  payload(seconds: number): object | null {
    if (states.missing(this.#said) !== null) return null;
    return { ...states.payloadOf(this.#said), seconds_spent: seconds };
  }

  missing(): string {
    return nextSentence(this.#said);
  }

  busy(busy: boolean): void {
    this.#submit.classList.toggle("busy", busy);
    this.#submit.setAttribute("aria-busy", String(busy));
  }

  key(event: KeyboardEvent): boolean {
    if (isTyping(event.target)) return this.#keyInReason(event);
    const command = commandOf(event, this.#said.asked.levels);
    return command !== null && this.#run(command, event);
  }

  #run(command: Command, event: KeyboardEvent): boolean {
    switch (command.does) {
      case "choose":
        return this.#chooseByKey(scaleOf(this.#said.asked.levels)[command.place]);
      case "tie":
        return states.takesTie(this.#said.asked) && this.#chooseByKey(TIE);
      case "both-bad":
        return this.#said.asked.bothBad && this.#toggleBothBad();
      case "reason":
        return this.#said.asked.reason !== "off" && this.#focusReason();
      case "row":
        return this.#isInRows() && this.#goTo(this.#row + command.direction);
      case "step":
        return this.#isInRows() && this.#step(command.direction);
      case "submit":
        return this.#enter(event);
    }
  }

  #keyInReason(event: KeyboardEvent): boolean {
    if (event.key === "Escape") this.#rows[this.#row]?.focus();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) {
      void this.#session.submit();
    } else return false;
    return true;
  }

  /** Enter submits, unless it means the button or link that has the focus. */
  #enter(event: KeyboardEvent): boolean {
    const onOther = (event.target as HTMLElement).closest("button:not([role=radio]), a, summary");
    if (onOther && !event.ctrlKey && !event.metaKey) return false;
    void this.#session.submit();
    return true;
  }

  /** After a key the next row waits for the next one. */
  #chooseByKey(choice: Choice | undefined): boolean {
    if (!choice) return false;
    this.#choose(this.#row, choice);
    this.#goTo(this.#row + 1);
    return true;
  }

  #choose(row: number, choice: Choice): void {
    this.#said = states.choose(this.#said, row, choice);
    this.#row = row;
    this.#settle();
    this.#session.announce(this.#sentence(row, choice));
  }

  #sentence(row: number, choice: Choice): string {
    const { dimensions, levels } = this.#said.asked;
    const name = dimensions[row - 1];
    if (name === undefined) return summary(this.#said);
    const said = interpolate(gettext("%(name)s: %(choice)s."), {
      name,
      choice: choiceName(choice, levels),
    });
    return `${said} ${nextSentence(this.#said)}`;
  }

  #step(direction: -1 | 1): boolean {
    const now = states.choiceAt(this.#said, this.#row);
    const next = this.#rows[this.#row]?.neighbor(now, direction);
    if (next) this.#choose(this.#row, next);
    this.#rows[this.#row]?.focus();
    return true;
  }

  /** Makes the row the one that keys act on. */
  #goTo(row: number): boolean {
    if (!this.#rows[row]) return this.#isInRows();
    this.#row = row;
    this.#draw();
    this.#rows[row]?.focus();
    return true;
  }

  #isInRows(): boolean {
    return find("[data-rows]").contains(document.activeElement);
  }

  #toggleBothBad(): boolean {
    this.#said = { ...this.#said, bothBad: !this.#said.bothBad };
    this.#settle();
    this.#session.announce(summary(this.#said));
    return true;
  }

  #focusReason(): boolean {
    this.#reason.focus();
    return true;
  }

  #settle(): void {
    this.#draw();
    this.#session.changed(states.payloadOf(this.#said));
  }

  #drawRows(): void {
    const { asked } = this.#said;
    const names = asked.dimensions.length > 0 ? [gettext("Overall"), ...asked.dimensions] : [""];
    this.#rows = names.map(
      (name, row) => new ScaleRow(asked, name, (choice) => this.#choose(row, choice)),
    );
    for (const [row, { element }] of this.#rows.entries()) {
      element.addEventListener("focusin", () => this.#focused(row));
    }
    find("[data-rows]").replaceChildren(...this.#rows.map(({ element }) => element));
    find("[data-verdict]").classList.toggle("tall", asked.dimensions.length > 0);
    const ends = scaleOf(asked.levels);
    find("[data-first-end]").textContent = endName(ends[0], asked.levels);
    find("[data-second-end]").textContent = endName(ends.at(-1), asked.levels);
    find("[data-last-place]").textContent = String(ends.length);
    find("[data-tie-key]").hidden = !states.takesTie(asked);
    this.#bothBad.hidden = !asked.bothBad;
    find("[data-reason-box]").hidden = asked.reason === "off";
    find("[data-reason-optional]").hidden = asked.reason === "required";
    this.#reason.required = asked.reason === "required";
  }

  #focused(row: number): void {
    if (this.#row === row) return;
    this.#row = row;
    this.#draw();
  }

  #draw(): void {
    const said = this.#said;
    for (const [index, row] of this.#rows.entries()) {
      row.update(states.choiceAt(said, index));
      row.element.classList.toggle("current", index === this.#row && this.#rows.length > 1);
    }
    for (const [index, card] of [...document.querySelectorAll("[data-answer]")].entries()) {
      card.classList.toggle("better", states.choiceAt(said, 0)?.better === index);
    }
    this.#bothBad.setAttribute("aria-pressed", String(said.bothBad));
    this.#submit.setAttribute("aria-disabled", String(states.missing(said) !== null));
    find("[data-why]").textContent = summary(said);
  }
}

function answerCard({ id, text }: { id: number; text: string }, index: number): HTMLElement {
  const letter = "AB"[index] ?? "";
  const title = interpolate(gettext("Answer %(letter)s"), { letter });
  const head = el("h3", { class: "pair-head" }, title);
  const body = el("div", { class: "prose", id: `answer-${id}` });
  renderText(body, text);
  const card = el("article", { class: "pair-card", tabindex: -1, "data-answer": id }, head, body);
  card.setAttribute("aria-label", title);
  return card;
}

function endName(choice: Choice | undefined, levels: number): string {
  return choice ? choiceName(choice, levels) : "";
}

new Session((session) => new Comparison(session));
