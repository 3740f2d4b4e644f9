// The newest message, and the answer that the person writes to it, maybe from a suggestion.
import type { Presentation } from "../api/assignments.ts";
import type { Reply, Turn } from "../api/turns.ts";
import { renderDiff } from "../components/diff.ts";
import { find } from "../components/dom.ts";
import { gettext } from "../components/i18n.ts";
import { renderText } from "../components/text.ts";
import { Composer } from "./composer.ts";
import { Curtain } from "./curtain.ts";
import type { Phase, Stage, StageActions } from "./stage.ts";
import { isWaiting } from "./tree.ts";

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
    const { answer, answers, edited_from: taken } = draft;
    this.#begin(typeof answers === "number" ? answers : 0);
    if (typeof answer === "string") this.#answer.text = answer;
    // Also when the turn has an answer: then this one is to replace it.
    this.#editing = typeof answer === "string";
    if (typeof taken === "number") this.#taken = this.#seen = taken;
  }

  phase(turn: Turn): Phase {
    const isOpen = turn.chosen === null || (this.#editing && this.#for === turn.id);
    return isOpen ? "open" : "settled";
  }

  draw(turn: Turn | null): void {
    if (turn && turn.id !== this.#for) this.#begin(turn.id);
    this.#turn = turn;
    const open = turn && this.phase(turn) === "open" ? turn : null;
    this.#box.hidden = open === null;
    this.#shown.hidden = turn === null || open !== null;
    if (turn && !open) renderText(find(".prose", this.#shown), turn.reply_text);
    this.#curtain.draw(open);
    this.#failed.hidden = open?.reply_state.status !== "failed";
    find("[data-failed-why]", this.#failed).textContent = open?.reply_state.error ?? "";
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
    if (this.#answer.isEmpty) return {};
    const taken = this.#taken === null ? {} : { edited_from: this.#taken };
    return { answer: this.#answer.text, answers: this.#for, ...taken };
  }

  missing(): string {
    return gettext("Send the answer first.");
  }

  continued(turn: Turn): string {
    return turn.reply_text;
  }

  #begin(turn: number): void {
    this.#for = turn;
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
    const taken = this.#taken === null ? {} : { edited_from: this.#taken };
    this.#answer.busy(true);
    const stored = await this.#actions.choose(turn, { text, ...taken });
    this.#answer.busy(false);
    if (!stored || this.#for !== turn.id) return;
    this.#begin(turn.id);
    this.#actions.changed();
  }
}

function suggestionOf(turn: Turn): Reply | null {
  return turn.suggestion ?? turn.replies[0] ?? null;
}
