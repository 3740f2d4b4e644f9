// The turns of a live conversation. Every call answers with all of them, so nothing can be missed.
import { apiCall } from "./client.ts";

export interface Reply {
  readonly id: number;
  readonly text: string;
}

export type ReplyStatus = "none" | "queued" | "running" | "done" | "failed";

export interface Turn {
  readonly id: number;
  readonly parent: number | null;
  /** What the person said. */
  readonly text: string;
  /** In the order shown; empty until all of them are there. */
  readonly replies: readonly Reply[];
  readonly chosen: number | null;
  readonly most_harmful: number | null;
  readonly edited_from: number | null;
  /** The text of the chosen one. */
  readonly reply_text: string;
  readonly suggestion?: Reply | null;
  readonly reply_state: {
    readonly status: ReplyStatus;
    /** Of all replies together, 0 to 1. */
    readonly progress: number;
    /** Why it failed: "" where nothing did, or nothing is known. */
    readonly code: string;
    readonly error: string;
  };
}

export type Turns = readonly Turn[];

export interface Choice {
  readonly chosen?: number;
  readonly most_harmful?: number;
  readonly text?: string;
  readonly edited_from?: number;
}

export function turnList(assignment: number): Promise<Turns> {
  return call("GET", assignment, "");
}

export function turnStart(
  assignment: number,
  text: string,
  parent: number | null,
): Promise<Turns> {
  return call("POST", assignment, "", { text, parent });
}

/** New replies to the same message; a turn whose replies failed is asked for them again. */
export function turnAgain(assignment: number, turn: number): Promise<Turns> {
  return call("POST", assignment, `${turn}/again/`);
}

export function turnSuggest(assignment: number, turn: number): Promise<Turns> {
  return call("POST", assignment, `${turn}/suggest/`);
}

export function turnChoose(assignment: number, turn: number, choice: Choice): Promise<Turns> {
  return call("PUT", assignment, `${turn}/choice/`, choice);
}

async function call(
  method: "GET" | "POST" | "PUT",
  assignment: number,
  path: string,
  body?: object,
): Promise<Turns> {
  const answer = await apiCall<{ turns: Turns }>(
    method,
    `assignments/${assignment}/turns/${path}`,
    body,
  );
  return answer?.turns ?? [];
}
