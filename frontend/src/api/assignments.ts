import { apiCall } from "./client.ts";

export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** One judgement reserved for this person, blind: no model, checkpoint or author is in it. */
export interface Presentation {
  readonly id: number;
  readonly kind: string;
  readonly prompt: { readonly messages: readonly Message[] };
  readonly completions: readonly { readonly id: number; readonly text: string }[];
  readonly guidelines: string;
  readonly draft: unknown;
  readonly lease_expires_at: string;
}

export function claim(project: string, kind: string): Promise<Presentation | null> {
  return apiCall("POST", `projects/${encodeURIComponent(project)}/assignments/claim/`, { kind });
}

export function submit(id: number, payload: object): Promise<unknown> {
  return apiCall("POST", `assignments/${id}/submit/`, payload);
}

export function skip(id: number, reason: string): Promise<unknown> {
  return apiCall("POST", `assignments/${id}/skip/`, { reason });
}

export function renew(id: number): Promise<{ lease_expires_at?: string } | null> {
  return apiCall("POST", `assignments/${id}/renew/`);
}

export function saveDraft(id: number, draft: object, keepalive: boolean): Promise<unknown> {
  return apiCall("PUT", `assignments/${id}/draft/`, draft, { keepalive });
}
