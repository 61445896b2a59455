/** On whose behalf something is asked, and why. Every request has a caller: rights and history hang on it. */
import type { OperationId } from "../domain/names.ts";

export interface Caller {
  readonly identity: string;
  /** In people's words; may be empty. */
  readonly reason: string;
  /** Its name for this write, the same when it is repeated. */
  readonly operationId?: OperationId;
  /** Ends what is waited for when nobody waits for the answer any more; absent: a write goes on, it may be committed. */
  readonly signal?: AbortSignal;
}

/** Who has not shown who they are: everybody, while no credentials are configured. */
const ANONYMOUS = "anonymous";

export function anonymous(signal?: AbortSignal, reason = "", operationId?: OperationId): Caller {
  return { identity: ANONYMOUS, reason, ...(signal && { signal }), ...(operationId && { operationId }) };
}

/** The control plane itself, for what it observes. */
export function observer(identity: "control-plane" | "expiry", reason: string, signal?: AbortSignal): Caller {
  return { identity, reason, ...(signal && { signal }) };
}
