// The turn at hand: what each kind of conversation does with the person's newest message.
import type { Presentation } from "../api/assignments.ts";
import type { Choice, Turn } from "../api/turns.ts";

/** open: the person has to decide. settled: they did, and the conversation may go on. */
export type Phase = "waiting" | "failed" | "open" | "settled";

/** What a stage asks of the page around it. */
export interface StageActions {
  /** Resolves with whether it is stored. */
  choose(turn: Turn, choice: Choice): Promise<boolean>;
  again(turn: Turn): void;
  suggest(turn: Turn): void;
  /** Something begun is worth keeping; draws the stage anew. */
  changed(): void;
  /** To screen readers. */
  say(sentence: string): void;
}

export interface Stage {
  /** Another conversation; `draft` holds what was begun in it. */
  open(task: Presentation, draft: Readonly<Record<string, unknown>>): void;
  phase(turn: Turn): Phase;
  /** Null: nothing is said yet, or an earlier message is said anew. */
  draw(turn: Turn | null): void;
  /** The turn is shown for the first time, or has come into another phase: move the focus. */
  enter(turn: Turn, phase: Phase): void;
  /** What screen readers hear when the turn has come into the phase. */
  sentence(turn: Turn, phase: Phase): string;
  /** True when it used the key. */
  key(event: KeyboardEvent, turn: Turn): boolean;
  /** What is begun and not stored yet. */
  draft(): object;
  /** Why the conversation cannot be handed in while this turn is open. */
  missing(): string;
  /** The reply that the conversation goes on from. */
  continued(turn: Turn): string;
}
