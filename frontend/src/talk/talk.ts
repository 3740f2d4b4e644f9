// A live conversation: where we stand in its tree, what may be done there, and what is kept.
//
// A kind brings its stage (how the newest message is answered) and maybe a verdict for the end.
import type { Presentation } from "../api/assignments.ts";
import * as api from "../api/turns.ts";
import type { Choice, Turn, Turns } from "../api/turns.ts";
import { find, isTyping } from "../components/dom.ts";
import { gettext, interpolate, ngettext } from "../components/i18n.ts";
import type { Judgement, Session } from "../components/session.ts";
import { renderText } from "../components/text.ts";
import { Composer } from "./composer.ts";
import { Finish, type Verdict } from "./finish.ts";
import { commandOf } from "./keys.ts";
import { Log } from "./log.ts";
import { personMessage, type MessageActions } from "./messages.ts";
import { Pace } from "./pace.ts";
import type { Phase, Stage, StageActions } from "./stage.ts";
import * as tree from "./tree.ts";
import type { Place } from "./tree.ts";
import { Unsent } from "./unsent.ts";

type Draft = Readonly<Record<string, unknown>>;
type Step = () => Promise<Turns>;

export class Talk implements Judgement {
  readonly #root = find("[data-talk]");
  readonly #session: Session;
  readonly #stage: Stage;
  readonly #finish: Finish;
  readonly #composer: Composer;
  readonly #log: Log;
  readonly #pace = new Pace(() => this.#look());
  readonly #unsent = new Unsent();
  readonly #messages: MessageActions = {
    branch: (turn) => this.#branch(turn),
    version: (turn, step) => this.#version(turn, step),
  };
  #task: Presentation | null = null;
  #turns: Turns = [];
  #at: Place = null;
  #loaded = false;
  /** Where to go back to from a branch that is not begun after all. */
  #left: { readonly at: Place } | null = null;
  #calls = 0;
  #last: Promise<boolean> | null = null;
  #entered = "";

  constructor(
    session: Session,
    stageOf: (actions: StageActions) => Stage,
    verdictOf: ((talk: Talk) => Verdict) | null = null,
  ) {
    this.#session = session;
    this.#stage = stageOf(this.#stageActions());
    this.#finish = new Finish(verdictOf?.(this) ?? null, {
      changed: () => this.#changed(),
      handIn: () => void this.#handIn(),
    });
    this.#log = new Log(this.#messages, (turn) => this.#stage.continued(turn));
    this.#composer = new Composer(find("[data-compose]"), {
      changed: () => this.#changed(),
      send: (text) => void this.#send(text),
    });
    find("[data-submit]").addEventListener("click", () => this.#end());
    find("[data-back]").addEventListener("click", () => this.#goBack());
  }

  /** The turns from the first to the one we stand at. */
  get path(): Turn[] {
    return tree.pathTo(this.#turns, this.#at);
  }

  /** What would be handed in: the path up to its last settled turn. */
  get settled(): Turn[] {
    const path = this.path;
    const last = path.findLastIndex((turn) => this.#stage.phase(turn) === "settled");
    return path.slice(0, last + 1);
  }

  open(task: Presentation, draft: unknown): void {
    this.#task = task;
    this.#turns = [];
    this.#at = null;
    this.#left = null;
    this.#last = null;
    this.#root.toggleAttribute("data-busy", false);
    this.#entered = "";
    const begun = asDraft(draft);
    this.#drawBrief(task);
    this.#finish.restore(begun);
    this.#stage.open(task, begun);
    // A conversation without turns needs no look at the server before the first word.
    const known = task.details["turns"];
    this.#loaded = Array.isArray(known) && known.length === 0;
    if (this.#loaded) this.#restore(begun);
    else void this.#load(begun);
    this.#draw();
  }

  payload(seconds: number): object | null {
    const last = this.settled.at(-1);
    const verdict = this.#finish.payload();
    if (!last || !verdict || this.missing()) return null;
    return { ...verdict, last_turn: last.id, seconds_spent: seconds };
  }

  missing(): string {
    const turn = this.#staged();
    const phase = turn && this.#stage.phase(turn);
    const missing = this.#option("min_turns", 1) - this.settled.length;
    if (!this.#loaded) return gettext("The conversation is being fetched.");
    if (!this.#composer.isEmpty && !this.#composer.box.hidden) {
      return gettext("Send or delete the message that you began.");
    }
    if (phase === "waiting") return gettext("Wait for the replies first.");
    if (phase === "open") return this.#stage.missing();
    if (missing <= 0) return "";
    const words = ngettext("%(count)s turn to go at least.", "%(count)s turns to go at least.", missing);
    return interpolate(words, { count: missing });
  }

  busy(busy: boolean): void {
    const button = find("[data-submit]");
    button.classList.toggle("busy", busy);
    button.setAttribute("aria-busy", String(busy));
    this.#composer.busy(busy);
    this.#finish.busy(busy);
  }

  key(event: KeyboardEvent): boolean {
    const turn = this.#staged();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      if (!event.repeat) this.#end();
      return true;
    }
    if (isTyping(event.target) && !event.altKey) return false;
    if (turn && this.#stage.key(event, turn)) return true;
    const command = commandOf(event);
    if (command?.does === "write" && !this.#composer.box.hidden) this.#composer.focus();
    else if (command?.does === "fold") this.#log.fold();
    else if (command?.does === "edit" && turn) this.#branch(turn);
    else if (command?.does === "version" && turn) this.#version(turn, command.step);
    else return false;
    return true;
  }

  #stageActions(): StageActions {
    return {
      choose: (turn, choice) => this.#choose(turn, choice),
      again: (turn) => void this.#again(turn),
      suggest: (turn) => void this.#suggest(turn),
      changed: () => this.#changed(),
      say: (sentence) => this.#session.announce(sentence),
    };
  }

  async #load(begun: Draft, isRepeated = false): Promise<void> {
    const id = this.#task?.id ?? 0;
    const load = () => api.turnList(id);
    if (!(await this.#call(load, () => void this.#load(begun, true)))) return;
    this.#loaded = true;
    this.#restore(begun);
    // Also takes away what was said about the failure.
    if (isRepeated) this.#changed();
    else this.#draw();
  }

  #restore(begun: Draft): void {
    const { text, parent, left, unsent, last_turn: handedIn } = begun;
    const place = typeof parent === "number" ? parent : handedIn;
    const { at, text: words } = tree.restored(
      this.#turns,
      typeof text === "string" ? text : "",
      typeof place === "number" ? place : null,
    );
    this.#at = at;
    this.#unsent.restore(unsent, this.#turns);
    this.#composer.text = words || this.#unsent.take(at);
    if (words && left !== undefined) this.#left = { at: typeof left === "number" ? left : null };
  }

  /** Asked while replies are being written. Resolves with whether anything moved. */
  async #look(): Promise<boolean> {
    const { id } = this.#session.task ?? {};
    const calls = this.#calls;
    if (id === undefined || id !== this.#task?.id) {
      this.#pace.want(false);
      return false;
    }
    const turns = await api.turnList(id);
    // A call of the person's own, made meanwhile, knows better.
    if (calls !== this.#calls || id !== this.#task?.id) return false;
    const moved = JSON.stringify(turns) !== JSON.stringify(this.#turns);
    this.#turns = turns;
    this.#draw();
    return moved;
  }

  async #send(text: string): Promise<void> {
    const id = this.#task?.id ?? 0;
    const [before, parent] = [this.#turns, this.#at];
    this.#composer.busy(true);
    const start = () => api.turnStart(id, text, parent);
    const sent = await this.#call(start, () => void this.#send(text));
    this.#composer.busy(false);
    if (!sent) return;
    if (this.#at === parent) this.#composer.text = "";
    this.#unsent.keep(parent, "");
    this.#goTo(tree.turnMade(before, this.#turns, parent, text));
  }

  async #choose(turn: Turn, choice: Choice): Promise<boolean> {
    const id = this.#task?.id ?? 0;
    const before = this.#turns;
    this.#turns = tree.withChoice(this.#turns, turn.id, choice);
    this.#draw();
    if (!this.#composer.box.hidden) this.#composer.focus();
    const choose = () => api.turnChoose(id, turn.id, choice);
    const stored = await this.#call(choose, () => void this.#choose(turn, choice));
    if (id !== this.#task?.id) return false;
    if (stored) this.#changed();
    else {
      this.#turns = before;
      this.#draw();
    }
    return stored;
  }

  async #again(turn: Turn): Promise<void> {
    const id = this.#task?.id ?? 0;
    const before = this.#turns;
    const ask = () => api.turnAgain(id, turn.id);
    if (!(await this.#call(ask, () => void this.#again(turn)))) return;
    this.#goTo(tree.turnMade(before, this.#turns, turn.parent, turn.text));
  }

  async #suggest(turn: Turn): Promise<void> {
    const id = this.#task?.id ?? 0;
    const ask = () => api.turnSuggest(id, turn.id);
    if (await this.#call(ask, () => void this.#suggest(turn))) this.#changed();
  }

  /** One call after the other: a message goes out only once the choice before it is stored. */
  async #call(step: Step, again: () => void): Promise<boolean> {
    this.#calls += 1;
    const mine = this.#after(this.#last, step, again);
    this.#last = mine;
    this.#root.toggleAttribute("data-busy", true);
    const done = await mine;
    if (this.#last !== mine) return done;
    this.#last = null;
    this.#root.toggleAttribute("data-busy", false);
    return done;
  }

  async #after(last: Promise<boolean> | null, step: Step, again: () => void): Promise<boolean> {
    if (last && !(await last)) return false;
    const task = this.#task;
    try {
      const turns = await step();
      if (task?.id !== this.#task?.id) return false;
      this.#turns = turns;
      return true;
    } catch (error) {
      if (task?.id === this.#task?.id) this.#session.failed(error, again);
      return false;
    }
  }

  #goTo(place: Place): void {
    this.#stand(place);
    this.#left = null;
    this.#changed();
  }

  /** What is begun at a place stays there, and is there again whenever the person comes back. */
  #stand(place: Place): void {
    if (place === this.#at) return;
    this.#unsent.keep(this.#at, this.#composer.text);
    this.#at = place;
    this.#composer.text = this.#unsent.take(place);
  }

  /** The message is edited, and the conversation goes on from there beside what it was. */
  #branch(turn: Turn): void {
    this.#left ??= { at: this.#at };
    this.#stand(turn.parent);
    if (this.#composer.isEmpty) this.#composer.text = turn.text;
    this.#changed();
    this.#composer.focus();
  }

  #goBack(): void {
    this.#composer.text = "";
    this.#goTo(this.#left ? this.#left.at : tree.newestUnder(this.#turns, this.#at));
  }

  #version(turn: Turn, step: -1 | 1): void {
    const next = tree.neighbourOf(this.#turns, turn, step);
    if (!next) return;
    this.#goTo(tree.newestUnder(this.#turns, next.id));
    document.querySelector<HTMLElement>(`[data-turn="${next.id}"] [data-step="${step}"]`)?.focus();
    this.#session.announce(
      interpolate(gettext("Version %(number)s of %(count)s."), tree.versionOf(this.#turns, next)),
    );
  }

  #end(): void {
    const missing = this.missing();
    if (missing) this.#session.announce(missing);
    else this.#finish.begin();
  }

  /** A choice on its way is stored first. */
  async #handIn(): Promise<void> {
    if (!this.#last || (await this.#last)) await this.#session.submit();
  }

  #changed(): void {
    this.#session.changed({
      text: this.#composer.text,
      parent: this.#at,
      ...(this.#left && { left: this.#left.at }),
      unsent: this.#unsent.draft(),
      ...this.#stage.draft(),
      ...this.#finish.draft(),
    });
    this.#draw();
  }

  /** The turn at hand; null before the first, and while an earlier message is said anew. */
  #staged(): Turn | null {
    const branching = tree.childrenOf(this.#turns, this.#at).length > 0;
    return branching ? null : tree.turnAt(this.#turns, this.#at);
  }

  #draw(): void {
    const turn = this.#staged();
    const phase = turn && this.#stage.phase(turn);
    const path = this.path;
    this.#root.dataset["phase"] = this.#loaded ? (phase ?? "ready") : "loading";
    this.#log.draw(this.#turns, turn ? path.slice(0, -1) : path);
    this.#drawNow(turn);
    this.#stage.draw(turn);
    this.#drawComposer(phase, path.length);
    this.#drawEnd();
    this.#pace.want(this.#turns.some(tree.isWaiting));
    this.#enter(turn, phase);
  }

  #drawNow(turn: Turn | null): void {
    find("[data-stage]").hidden = turn === null;
    const box = find("[data-now]");
    const content = turn ? JSON.stringify([turn.id, tree.versionOf(this.#turns, turn)]) : "";
    if (box.dataset["drawn"] === content) return;
    box.dataset["drawn"] = content;
    box.replaceChildren(...(turn ? [personMessage(this.#turns, turn, this.#messages)] : []));
  }

  #drawComposer(phase: Phase | null, length: number): void {
    const isFull = length >= this.#option("max_turns", Infinity);
    const isTurn = this.#loaded && (phase === null || phase === "settled");
    this.#composer.box.hidden = !isTurn || isFull;
    find("[data-full]").hidden = !isTurn || !isFull;
    find("[data-branching]").hidden = phase !== null || this.#turns.length === 0;
  }

  #drawEnd(): void {
    const missing = this.missing();
    find("[data-submit]").setAttribute("aria-disabled", String(missing !== ""));
    find("[data-why]").textContent = missing;
  }

  /** Moves the focus and speaks once for each phase that a turn comes into. */
  #enter(turn: Turn | null, phase: Phase | null): void {
    const entered = this.#loaded ? `${this.#task?.id} ${this.#at} ${phase ?? "ready"}` : "";
    if (entered === this.#entered) return;
    this.#entered = entered;
    if (!entered || document.querySelector("dialog[open]")) return;
    if (!this.#composer.box.hidden) this.#composer.focus();
    else if (phase === "waiting") this.#focusStage();
    if (!turn || !phase) return;
    this.#stage.enter(turn, phase);
    const sentence = this.#stage.sentence(turn, phase);
    if (sentence) this.#session.announce(sentence);
  }

  #focusStage(): void {
    const stage = find("[data-stage]");
    stage.focus({ preventScroll: true });
    stage.scrollIntoView({ block: "nearest" });
  }

  #drawBrief(task: Presentation): void {
    const { brief } = task;
    find("[data-brief]").hidden = brief === null;
    find("[data-brief-name]").textContent = brief?.name ?? "";
    renderText(find("[data-brief-text]"), brief?.text ?? "");
  }

  #option(name: string, otherwise: number): number {
    const value = this.#task?.options[name];
    return typeof value === "number" ? value : otherwise;
  }
}

function asDraft(draft: unknown): Draft {
  return draft !== null && typeof draft === "object" ? (draft as Draft) : {};
}
