// Calls the same HTTP API as every other client, with the session and its CSRF token.

/** An answer other than 2xx, or none at all. `code` is stable and documented in docs/errors.md. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  readonly extra: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, status: number, extra: Record<string, unknown> = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.extra = extra;
  }
}

export interface CallOptions {
  /** Lets a last save finish after the page is left. */
  readonly keepalive?: boolean;
}

/** Resolves with the decoded body, or null for 204. Rejects with ApiError, nothing else. */
export async function apiCall<T>(
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
  path: string,
  body?: unknown,
  options: CallOptions = {},
): Promise<T | null> {
  const response = await send(method, path, body, options);
  if (response.status === 204) return null;
  const answer: unknown = await response.json().catch(() => null);
  if (!response.ok) throw errorFrom(response.status, answer);
  return answer as T;
}

async function send(
  method: string,
  path: string,
  body: unknown,
  { keepalive = false }: CallOptions,
): Promise<Response> {
  try {
    return await fetch(`${root()}api/v1/${path}`, {
      method,
      keepalive,
      credentials: "same-origin",
      headers: {
        Accept: "application/json",
        "Content-Type": "application/json",
        "X-CSRFToken": csrfToken(),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError("server_unreachable", "The server could not be reached.", 0);
  }
}

function errorFrom(status: number, answer: unknown): ApiError {
  if (answer !== null && typeof answer === "object" && "code" in answer && "message" in answer) {
    const extra = "extra" in answer ? (answer.extra as Record<string, unknown>) : {};
    return new ApiError(String(answer.code), String(answer.message), status, extra ?? {});
  }
  return new ApiError(`http_${status}`, `The server answered with status ${status}.`, status);
}

/** Where the person logs in again; afterwards they come to their list of work. */
export function loginAddress(): string {
  return `${root()}login/`;
}

function root(): string {
  return document.body.dataset["root"] ?? "/";
}

/** The cookie first: it stays right when the person logs in again in another tab. */
function csrfToken(): string {
  const cookie = /(?:^|;\s*)csrftoken=([^;]+)/.exec(document.cookie)?.[1];
  const field = document.querySelector<HTMLInputElement>("input[name=csrfmiddlewaretoken]");
  return cookie ?? field?.value ?? "";
}
