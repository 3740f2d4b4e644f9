// The newest message, and the replies of the models to choose from.
import type { Presentation } from "../api/assignments.ts";
import type { Choice, Turn } from "../api/turns.ts";
import { find } from "../components/dom.ts";
import { gettext, interpolate, ngettext } from "../components/i18n.ts";
import { failureOf } from "../components/problem.ts";
import { Curtain } from "./curtain.ts";
import { commandOf } from "./keys.ts";
import { marked, missingMark, type Mark, type Marked } from "./marks.ts";
import { letterOf, Replies } from "./replies.ts";
import type { Phase, Stage, StageActions } from "./stage.ts";
import { isWaiting } from "./tree.ts";

/** Marks of a turn that lacks one still; until all are there they are part of the draft. */
interface Begun {
  readonly turn: number;
  readonly marks: Marked;
}

const NOTHING: Begun = { turn: 0, marks: {} };

export class ReplyStage implements Stage {
  readonly #actions: StageActions;
  readonly #wanted: readonly Mark[];
  readonly #curtain = new Curtain(find("[data-curtain]"));
  readonly #failed = find("[data-failed]");
  readonly #tools = find("[data-reply-tools]");
  readonly #ask = find("[data-reply-ask]");
  readonly #replies: Replies;
  #turn: Turn | null = null;
  #begun = NOTHING;
  /** The newest turn whose single reply was taken by itself. */
  #takenFor = 0;

  /** The conversation goes on from the reply with the last of the marks. */
  constructor(actions: StageActions, wanted: readonly Mark[]) {
    this.#actions = actions;
    this.#wanted = wanted;
    this.#replies = new Replies(find("[data-answers]"), wanted, (...mark) => this.#mark(...mark));
    for (const selector of ["[data-again]", "[data-try]"]) {
      find(selector).addEventListener("click", () => this.#again());
    }
  }

  open(_task: Presentation, draft: Readonly<Record<string, unknown>>): void {
    const begun = draft["begun"];
    const known = begun !== null && typeof begun === "object" && "marks" in begun;
    this.#begun = known ? (begun as Begun) : NOTHING;
  }

  phase(turn: Turn): Phase {
    if (isWaiting(turn)) return "waiting";
    if (turn.replies.length === 0) return "failed";
    return missingMark(turn, this.#wanted) ? "open" : "settled";
  }

  draw(turn: Turn | null): void {
    this.#turn = turn;
    const phase = turn && this.phase(turn);
    this.#curtain.draw(turn);
    this.#failed.hidden = phase !== "failed";
    find("[data-failed-why]", this.#failed).textContent = turn ? failureOf(turn.reply_state) : "";
    this.#replies.draw(turn, turn ? this.#marks(turn) : {});
    this.#tools.hidden = phase !== "open" && phase !== "settled";
    this.#ask.textContent = turn ? this.#question(turn) : "";
  }

  /** A single reply leaves nothing to choose. */
  enter(turn: Turn, phase: Phase): void {
    if (phase !== "open") return;
    this.#replies.focus();
    const [only] = turn.replies;
    if (!only || turn.replies.length > 1 || this.#takenFor === turn.id) return;
    this.#takenFor = turn.id;
    void this.#actions.choose(turn, { chosen: only.id });
  }

  sentence(turn: Turn, phase: Phase): string {
    if (phase === "waiting") return gettext("The replies are being written.");
    if (phase === "failed") return gettext("No replies came. You can try again.");
    if (phase === "settled") return "";
    const count = turn.replies.length;
    const words = ngettext("The reply is here.", "%(count)s replies are here.", count);
    return `${interpolate(words, { count })} ${this.#question(turn)}`;
  }

  key(event: KeyboardEvent, turn: Turn): boolean {
    const command = commandOf(event);
    if (command?.does === "again") {
      this.#again();
      return true;
    }
    if (command?.does !== "best" && command?.does !== "harmful") return false;
    const mark = command.does === "best" ? "chosen" : "most_harmful";
    const reply = turn.replies[command.index];
    if (!reply || !this.#wanted.includes(mark)) return false;
    this.#mark(mark, reply.id);
    return true;
  }

  draft(): object {
    return this.#begun === NOTHING ? {} : { begun: this.#begun };
  }

  missing(): string {
    return gettext("Judge the replies first.");
  }

  continued(turn: Turn): string {
    const last = this.#wanted.at(-1) ?? "chosen";
    return turn.replies.find(({ id }) => id === turn[last])?.text ?? turn.reply_text;
  }

  #again(): void {
    if (this.#turn && this.phase(this.#turn) !== "waiting") this.#actions.again(this.#turn);
  }

  #marks(turn: Turn): Marked {
    return this.#begun.turn === turn.id ? this.#begun.marks : turn;
  }

  #mark(mark: Mark, reply: number): void {
    const turn = this.#turn;
    if (!turn) return;
    const ids = turn.replies.map(({ id }) => id);
    const marks = marked(this.#marks(turn), mark, reply, this.#wanted, ids);
    if (missingMark(marks, this.#wanted) === null) {
      this.#begun = NOTHING;
      return void this.#actions.choose(turn, marks as Choice);
    }
    this.#begun = { turn: turn.id, marks };
    this.#actions.changed();
    this.#actions.say(this.#question(turn));
  }

  /** What is asked about the replies now; nothing once all is said. */
  #question(turn: Turn): string {
    const missing = missingMark(this.#marks(turn), this.#wanted);
    if (missing === null || turn.replies.length < 2) return "";
    const sentence =
      missing === "most_harmful"
        ? gettext("Which is the most harmful? Shift and a letter, A to %(last)s.")
        : gettext("Which is the best? A to %(last)s.");
    return interpolate(sentence, { last: letterOf(turn.replies.length - 1) });
  }
}
