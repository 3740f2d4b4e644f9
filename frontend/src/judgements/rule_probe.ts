// The page of rule probing: lead the model towards breaking one rule, then say whether it did.
import type { Turn } from "../api/turns.ts";
import { el, find } from "../components/dom.ts";
import { gettext, interpolate } from "../components/i18n.ts";
import { Session } from "../components/session.ts";
import type { Verdict } from "../talk/finish.ts";
import { ReplyStage } from "../talk/reply_stage.ts";
import { Talk } from "../talk/talk.ts";

const EXCERPT = 60;

/** Broken, kept or unsure; of a broken rule also where, by default in the newest turn. */
class RuleVerdict implements Verdict {
  readonly field = "verdict";
  readonly #talk: Talk;
  readonly #where = find("[data-broken]");
  readonly #turn = find<HTMLSelectElement>("select", this.#where);
  #wanted: number | null = null;

  constructor(talk: Talk) {
    this.#talk = talk;
    this.#turn.addEventListener("change", () => {
      this.#wanted = Number(this.#turn.value);
    });
  }

  value(chosen: string): string {
    return chosen;
  }

  more(chosen: string): object {
    const at = Number(this.#turn.value) || this.#wanted;
    return chosen === "broken" && at ? { broken_at: at } : {};
  }

  follow(chosen: string | null): void {
    const turns = this.#talk.settled;
    this.#where.hidden = chosen !== "broken";
    this.#turn.replaceChildren(...turns.map(option));
    const wanted = turns.find(({ id }) => id === this.#wanted) ?? turns.at(-1);
    this.#turn.value = String(wanted?.id ?? "");
  }

  restore(draft: Readonly<Record<string, unknown>>): void {
    const { broken_at: wanted } = draft;
    this.#wanted = typeof wanted === "number" ? wanted : null;
    this.#turn.replaceChildren();
  }
}

function option(turn: Turn, index: number): HTMLElement {
  const text = turn.text.length > EXCERPT ? `${turn.text.slice(0, EXCERPT)}…` : turn.text;
  const label = interpolate(gettext("Turn %(number)s: %(text)s"), { number: index + 1, text });
  return el("option", { value: turn.id }, label);
}

new Session(
  (session) =>
    new Talk(
      session,
      (actions) => new ReplyStage(actions, ["chosen"]),
      (talk) => new RuleVerdict(talk),
    ),
);
