import { apiCall } from "./client.ts";

export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface Source {
  readonly title: string;
  readonly text: string;
  readonly url?: string;
}

/** One judgement reserved for this person, blind: no model, checkpoint or author is in it. */
export interface Presentation {
  readonly id: number;
  readonly kind: string;
  readonly status: string;
  /** Null: the person begins. */
  readonly prompt: {
    readonly messages: readonly Message[];
    readonly sources: readonly Source[];
  } | null;
  readonly brief: { readonly kind: string; readonly name: string; readonly text: string } | null;
  readonly completions: readonly { readonly id: number; readonly text: string }[];
  /** As they were when the task was taken; a newer version may be out. */
  readonly guidelines: {
    readonly version: number;
    readonly text: string;
    readonly latest: number;
  };
  /** The project's choices for this kind. */
  readonly options: Readonly<Record<string, unknown>>;
  /** What only this kind's page needs. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly undo_seconds: number;
  readonly draft: unknown;
  readonly lease_expires_at: string;
}

/** `aheadOf`: the assignment that the person is at; the one to come after it is reserved. */
export function claim(
  project: string,
  kind: string,
  aheadOf?: number,
): Promise<Presentation | null> {
  const path = `projects/${encodeURIComponent(project)}/assignments/claim/`;
  return apiCall("POST", path, aheadOf === undefined ? { kind } : { kind, ahead_of: aheadOf });
}

export async function get(id: number): Promise<Presentation> {
  return present(await apiCall<Presentation>("GET", `assignments/${id}/`));
}

export function submit(id: number, payload: object): Promise<unknown> {
  return apiCall("POST", `assignments/${id}/submit/`, payload);
}

export function skip(id: number, reason: string): Promise<unknown> {
  return apiCall("POST", `assignments/${id}/skip/`, { reason });
}

export async function undo(id: number): Promise<Presentation> {
  return present(await apiCall<Presentation>("POST", `assignments/${id}/undo/`));
}

export type ReportKind = "content" | "problem";

export function report(id: number, kind: ReportKind, text: string): Promise<unknown> {
  return apiCall("POST", `assignments/${id}/reports/`, { kind, text });
}

/** The newest version of the project's guidelines. */
export async function guidelines(
  project: string,
): Promise<{ readonly version: number; readonly text: string } | null> {
  const path = `projects/${encodeURIComponent(project)}/guidelines/`;
  const page = await apiCall<{ results: { version: number; text: string }[] }>("GET", path);
  return page?.results[0] ?? null;
}

function present(task: Presentation | null): Presentation {
  if (task === null) throw new TypeError("The server sent no task");
  return task;
}

export function renew(id: number): Promise<{ lease_expires_at?: string } | null> {
  return apiCall("POST", `assignments/${id}/renew/`);
}

export function saveDraft(id: number, draft: object, keepalive: boolean): Promise<unknown> {
  return apiCall("PUT", `assignments/${id}/draft/`, draft, { keepalive });
}
