// A key press, as the pure rules about keys read it.

export interface Press {
  readonly key: string;
  readonly code: string;
  readonly shiftKey: boolean;
  readonly altKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly repeat: boolean;
}

/** The press of one key with nothing held, for tests. */
export function pressOf(key: string, more: Partial<Press> = {}): Press {
  return {
    key,
    code: "",
    shiftKey: false,
    altKey: false,
    ctrlKey: false,
    metaKey: false,
    repeat: false,
    ...more,
  };
}
