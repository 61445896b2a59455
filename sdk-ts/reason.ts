import type { ServiceError } from "@grpc/grpc-js";

/** Why a call failed, in a few words for a log: what the control plane says, or what keeps a connection from it. */
export function reasonOf(error: unknown): string {
  const { details, message } = error as Partial<ServiceError>;
  const reason = details || message || `${error}`;
  return UNCONNECTED.exec(reason)?.[1] ?? reason;
}

// "No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: "; instead of the
// error's name there may be the time behind it.
const UNCONNECTED =
  /^No connection established\. Last error: (?:Error: )?(?!null\.)(.+?)(?: \([-:.0-9TZ]+\))?\. Resolution/s;
