// The newest message, and the answer that the person writes to it, maybe from a suggestion.
import type { Presentation } from "../api/assignments.ts";
import type { Reply, Turn } from "../api/turns.ts";
import { renderDiff } from "../components/diff.ts";
import { find } from "../components/dom.ts";
import { gettext } from "../components/i18n.ts";
import { failureOf } from "../components/problem.ts";
import { renderText } from "../components/text.ts";
import { Composer } from "./composer.ts";
import { Curtain } from "./curtain.ts";
import type { Phase, Stage, StageActions } from "./stage.ts";
import { isWaiting } from "./tree.ts";

/** An answer that is written and not sent yet. */
interface Begun {
  readonly text: string;
  /** The suggestion that it began as. */
  readonly edited_from?: number;
}

export class AnswerStage implements Stage {
  readonly #actions: StageActions;
  readonly #curtain = new Curtain(find("[data-curtain]"));
  readonly #failed = find("[data-failed]");
  readonly #box = find("[data-answer-box]");
  readonly #shown = find("[data-answer-shown]");
  readonly #suggested = find("[data-suggested]");
  readonly #suggestButton = find("[data-suggest]");
  readonly #diffButton = find("[data-changes]");
  readonly #diff = find("[data-answer-diff]");
  readonly #answer: Composer;
  #turn: Turn | null = null;
  #offers = false;
  /** The turn that the answer in the field belongs to. */
  #for = 0;
  /** The answers to other turns, which wait until the person comes back to these. */
  readonly #begun = new Map<number, Begun>();
  /** The suggestion that the answer began as. */
  #taken: number | null = null;
  #seen: number | null = null;
  #editing = false;
  #showsDiff = false;

  constructor(actions: StageActions) {
    this.#actions = actions;
    this.#answer = new Composer(this.#box, {
      changed: () => actions.changed(),
      send: (text) => void this.#send(text),
    });
    this.#suggestButton.addEventListener("click", () => this.#suggest());
    this.#diffButton.addEventListener("click", () => this.#toggleDiff());
    find("[data-take]").addEventListener("click", () => this.#take());
    find("[data-try]").addEventListener("click", () => this.#suggest());
    find("[data-edit-answer]").addEventListener("click", () => this.#edit());
  }

  open(task: Presentation, draft: Readonly<Record<string, unknown>>): void {
    this.#offers = task.options["suggestions"] === true;
    this.#for = 0;
    this.#empty();
    this.#begun.clear();
    for (const [turn, begun] of begunIn(draft["answers"])) this.#begun.set(turn, begun);
  }

  phase(turn: Turn): Phase {
    // Begun also when the turn has an answer: then this one is to replace it.
    const isBegun = this.#for === turn.id ? this.#editing : this.#begun.has(turn.id);
    return turn.chosen === null || isBegun ? "open" : "settled";
  }

  draw(turn: Turn | null): void {
    if (turn && turn.id !== this.#for) this.#turnTo(turn.id);
    this.#turn = turn;
    const open = turn && this.phase(turn) === "open" ? turn : null;
    this.#box.hidden = open === null;
    this.#shown.hidden = turn === null || open !== null;
    if (turn && !open) renderText(find(".prose", this.#shown), turn.reply_text);
    this.#curtain.draw(open);
    this.#failed.hidden = open?.reply_state.status !== "failed";
    find("[data-failed-why]", this.#failed).textContent = open ? failureOf(open.reply_state) : "";
    if (open) this.#drawSuggestion(open);
  }

  enter(_turn: Turn, phase: Phase): void {
    if (phase === "open") this.#answer.focus();
  }

  sentence(_turn: Turn, phase: Phase): string {
    return phase === "open" ? gettext("Now write the ideal answer.") : "";
  }

  key(event: KeyboardEvent, turn: Turn): boolean {
    if (!event.altKey || event.ctrlKey || event.metaKey) return false;
    if (this.phase(turn) !== "open") return false;
    if (event.code === "KeyD" && !this.#suggestButton.hidden) this.#suggest();
    else if (event.code === "KeyD" && !this.#suggested.hidden) this.#take();
    else if (event.code === "KeyV" && !this.#diffButton.hidden) this.#toggleDiff();
    else return false;
    return true;
  }

  draft(): object {
    const answers = new Map(this.#begun);
    if (this.#for && !this.#answer.isEmpty) answers.set(this.#for, this.#inField());
    return answers.size > 0 ? { answers: Object.fromEntries(answers) } : {};
  }

  missing(): string {
    return gettext("Send the answer first.");
  }

  continued(turn: Turn): string {
    return turn.reply_text;
  }

  /** What stands in the field waits at its own turn, and what waits at this one comes back. */
  #turnTo(turn: number): void {
    if (this.#for && !this.#answer.isEmpty) this.#begun.set(this.#for, this.#inField());
    this.#for = turn;
    this.#empty();
    const begun = this.#begun.get(turn);
    if (!begun) return;
    this.#begun.delete(turn);
    this.#answer.text = begun.text;
    this.#taken = this.#seen = begun.edited_from ?? null;
    this.#editing = true;
  }

  #inField(): Begun {
    const text = this.#answer.text;
    return this.#taken === null ? { text } : { text, edited_from: this.#taken };
  }

  #empty(): void {
    this.#taken = this.#seen = null;
    this.#editing = this.#showsDiff = false;
    this.#answer.text = "";
  }

  /** A suggestion goes into an empty field by itself; beside words it waits to be taken. */
  #drawSuggestion(turn: Turn): void {
    const suggestion = suggestionOf(turn);
    const isNew = suggestion !== null && suggestion.id !== this.#seen;
    this.#seen = suggestion?.id ?? this.#seen;
    if (isNew && this.#answer.isEmpty) return this.#take();
    const isTaken = suggestion !== null && suggestion.id === this.#taken;
    this.#suggestButton.hidden = !this.#offers || suggestion !== null || isWaiting(turn);
    this.#suggested.hidden = suggestion === null || isTaken;
    if (suggestion && !isTaken) renderText(find(".prose", this.#suggested), suggestion.text);
    this.#diffButton.hidden = !isTaken;
    this.#diffButton.setAttribute("aria-expanded", String(this.#showsDiff));
    this.#diff.hidden = !isTaken || !this.#showsDiff;
    if (!this.#diff.hidden) renderDiff(this.#diff, suggestion?.text ?? "", this.#answer.text);
  }

  #suggest(): void {
    const turn = this.#turn;
    if (turn && !suggestionOf(turn) && !isWaiting(turn)) this.#actions.suggest(turn);
  }

  #take(): void {
    const suggestion = this.#turn && suggestionOf(this.#turn);
    if (!suggestion) return;
    this.#taken = suggestion.id;
    this.#answer.replace(suggestion.text);
    this.#actions.changed();
    this.#actions.say(gettext("The suggestion is in the field. Edit it, then send it."));
  }

  #toggleDiff(): void {
    this.#showsDiff = !this.#showsDiff;
    if (this.#turn) this.draw(this.#turn);
  }

  #edit(): void {
    const turn = this.#turn;
    if (!turn) return;
    this.#editing = true;
    this.#answer.text = turn.reply_text;
    this.#taken = this.#seen = turn.edited_from;
    this.#actions.changed();
  }

  async #send(text: string): Promise<void> {
    const turn = this.#turn;
    if (!turn) return;
    this.#answer.busy(true);
    const stored = await this.#actions.choose(turn, { ...this.#inField(), text });
    this.#answer.busy(false);
    if (!stored) return;
    this.#begun.delete(turn.id);
    if (this.#for === turn.id) this.#empty();
    this.#actions.changed();
  }
}

/** From a draft, which may be of an older page. */
function begunIn(answers: unknown): [number, Begun][] {
  if (answers === null || typeof answers !== "object") return [];
  return Object.entries(answers as Record<string, Partial<Begun> | null>).flatMap(([turn, begun]) => {
    if (typeof begun?.text !== "string") return [];
    const taken = typeof begun.edited_from === "number" ? { edited_from: begun.edited_from } : {};
    return [[Number(turn), { text: begun.text, ...taken }]];
  });
}

function suggestionOf(turn: Turn): Reply | null {
  return turn.suggestion ?? turn.replies[0] ?? null;
}
