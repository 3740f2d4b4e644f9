// The ranking page: K answers side by side, put in order.
import type { Presentation } from "../api/assignments.ts";
import { Session, type Judgement } from "../components/session.ts";
import { OrderDesk } from "../ranking/desk.ts";

class Ranking implements Judgement {
  readonly #desk: OrderDesk;

  constructor(session: Session) {
    this.#desk = new OrderDesk({
      changed: () => session.changed(this.#desk.said()),
      announce: (sentence) => session.announce(sentence),
      submit: () => void session.submit(),
    });
  }

  open(task: Presentation, draft: unknown): void {
    this.#desk.open(task, draft, { asksAllBad: task.options["all_bad"] !== false });
    this.#desk.focus();
  }

  payload(seconds: number): object | null {
    return this.#desk.isComplete ? { ...this.#desk.said(), seconds_spent: seconds } : null;
  }

  missing(): string {
    return this.#desk.missing();
  }

  busy(busy: boolean): void {
    this.#desk.busy(busy);
  }

  key(event: KeyboardEvent): boolean {
    return this.#desk.key(event);
  }
}

new Session((session) => new Ranking(session));
