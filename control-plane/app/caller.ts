/** On whose behalf something is asked, and why. Every request has a caller: rights and history hang on it. */
export interface Caller {
  readonly identity: string;
  /** In people's words; may be empty. */
  readonly reason: string;
  /** Ends what is waited for when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** Who has not shown who they are: everybody, while no credentials are configured. */
export function anonymous(signal: AbortSignal, reason = ""): Caller {
  return { identity: "anonymous", reason, signal };
}
