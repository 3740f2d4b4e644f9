// The rating page: each answer alone, by a number and flags, and then all of them in order.
import type { Presentation } from "../api/assignments.ts";
import { find } from "../components/dom.ts";
import { gettext, interpolate, ngettext } from "../components/i18n.ts";
import { Session, type Judgement } from "../components/session.ts";
import { OrderDesk } from "../ranking/desk.ts";
import { Alone } from "../rating/alone.ts";
import { commandOf, type Command } from "../rating/keys.ts";
import * as walks from "../rating/state.ts";
import type { Walk } from "../rating/state.ts";
import { drawSteps, letterAt } from "../rating/steps.ts";

class Rating implements Judgement {
  readonly #session: Session;
  readonly #desk: OrderDesk;
  readonly #alone = new Alone({
    rate: (overall) => this.#change(walks.rate(this.#walk, overall)),
    toggleFlag: (name) => this.#change(walks.toggleFlag(this.#walk, name)),
    next: () => this.#goTo(this.#walk.at + 1),
    back: () => this.#goTo(this.#walk.at - 1),
  });
  #task: Presentation | null = null;
  #walk: Walk = walks.walkFromDraft([], walks.schemaOf({}), null);

  constructor(session: Session) {
    this.#session = session;
    this.#desk = new OrderDesk({
      changed: () => this.#changed(),
      announce: (sentence) => session.announce(sentence),
      submit: () => void session.submit(),
      before: () => this.#goTo(this.#walk.at - 1),
    });
  }

  open(task: Presentation, draft: unknown): void {
    this.#task = task;
    const shown = task.completions.map(({ id }) => id);
    this.#walk = walks.walkFromDraft(shown, walks.schemaOf(task.details), draft);
    this.#alone.open(this.#walk.schema.flags);
    this.#desk.open(task, draft);
    this.#show();
  }

  payload(seconds: number): object | null {
    if (!walks.isOrdering(this.#walk) || !this.#desk.isComplete) return null;
    return { ...walks.saidOf(this.#walk), ...this.#desk.said(), seconds_spent: seconds };
  }

  missing(): string {
    if (walks.isOrdering(this.#walk)) return this.#desk.missing();
    return gettext("Rate each answer first, then put them in order.");
  }

  busy(busy: boolean): void {
    this.#desk.busy(busy);
  }

  key(event: KeyboardEvent): boolean {
    if (walks.isOrdering(this.#walk)) return this.#desk.key(event);
    const command = commandOf(event, this.#walk.schema.flags.length);
    return command !== null && this.#run(command, event);
  }

  #run(command: Command, event: KeyboardEvent): boolean {
    switch (command.does) {
      case "rate":
        return this.#change(walks.rate(this.#walk, command.overall));
      case "flag":
        return this.#toggleFlag(command.index);
      case "next":
        return this.#step(event, 1);
      case "back":
        return this.#step(event, -1);
    }
  }

  /** To another answer; an arrow on a number of the scale goes to the number beside it. */
  #step(event: KeyboardEvent, direction: -1 | 1): boolean {
    const onNumber = (event.target as HTMLElement).matches("[role=radio]");
    if (!onNumber || event.key === "Enter") {
      return !this.#isOtherButton(event) && this.#goTo(this.#walk.at + direction);
    }
    const overall = this.#walk.ratings[this.#walk.at]?.overall;
    this.#change(walks.rate(this.#walk, overall ? overall + direction : 1));
    this.#alone.focusNumber();
    return true;
  }

  /** Enter means the button in focus, unless that is a number of the scale. */
  #isOtherButton(event: KeyboardEvent): boolean {
    const target = event.target as HTMLElement;
    return event.key === "Enter" && target.closest("button:not([role=radio]), a, summary") !== null;
  }

  #toggleFlag(index: number): boolean {
    const flag = this.#walk.schema.flags[index];
    if (!flag) return false;
    this.#change(walks.toggleFlag(this.#walk, flag.name));
    const isRaised = this.#walk.ratings[this.#walk.at]?.flags.includes(flag.name);
    const format = isRaised ? gettext("Yes: %(question)s") : gettext("No longer: %(question)s");
    this.#session.announce(interpolate(format, { question: flag.question }));
    return true;
  }

  #change(walk: Walk): boolean {
    this.#walk = walk;
    this.#draw();
    this.#changed();
    return true;
  }

  #changed(): void {
    const { at } = this.#walk;
    this.#session.changed({ ...walks.saidOf(this.#walk), ...this.#desk.said(), at });
  }

  /** Shows another answer or the order, when it can be reached. */
  #goTo(at: number): boolean {
    const walk = walks.goTo(this.#walk, at);
    if (walk !== this.#walk) {
      this.#walk = walk;
      this.#show();
      this.#changed();
      window.scrollTo({ top: 0 });
      this.#session.announce(this.#place());
    } else if (at > walks.furthest(walk)) {
      this.#session.announce(gettext("Give it a number from 1 to 7."));
    }
    return true;
  }

  #place(): string {
    const { at, shown } = this.#walk;
    if (walks.isOrdering(this.#walk)) return gettext("Now put the answers in order.");
    const format = gettext("Answer %(letter)s, %(number)s of %(all)s.");
    const values = { letter: letterAt(at), number: at + 1, all: shown.length };
    return interpolate(format, values);
  }

  /** Either one answer alone or all of them: never both are on the page. */
  #show(): void {
    const task = this.#task;
    if (!task) return;
    const isOrdering = walks.isOrdering(this.#walk);
    hide("[data-alone]", isOrdering);
    hide("[data-ordering]", !isOrdering);
    find("[data-rating]").classList.toggle("ordering", isOrdering);
    if (isOrdering) this.#desk.open(task, this.#desk.said(), { notes: this.#notes() });
    else this.#desk.close();
    this.#alone.show(letterAt(this.#walk.at), task.completions[this.#walk.at]?.text);
    this.#draw();
    (isOrdering ? this.#desk : this.#alone).focus();
  }

  /** What the person said of each answer, as a reminder while they put them in order. */
  #notes(): Map<number, string> {
    return new Map(
      this.#walk.ratings.map(({ overall, flags }, index) => {
        const number = interpolate(gettext("%(overall)s of 7"), { overall: overall ?? "" });
        const count = flags.length;
        const raised = ngettext("%(count)s flag", "%(count)s flags", count);
        const note = count > 0 ? `${number} · ${interpolate(raised, { count })}` : number;
        return [this.#walk.shown[index] ?? 0, note];
      }),
    );
  }

  #draw(): void {
    const rating = this.#walk.ratings[this.#walk.at];
    if (rating) this.#alone.update(this.#walk, rating);
    drawSteps(find("[data-steps]"), this.#walk, (at) => this.#goTo(at));
  }
}

function hide(selector: string, hidden: boolean): void {
  for (const part of document.querySelectorAll<HTMLElement>(selector)) part.hidden = hidden;
}

new Session((session) => new Rating(session));
