/** What every transport is given to serve. */
import type { Operations } from "../app/operations.ts";
import type { Followers } from "../app/followers.ts";
import type { Log } from "../../proto/log.ts";

export interface Ports {
  readonly operations: Operations;
  readonly followers: Followers;
  readonly log: Log;
}

/** How long what is under way may take when a server stops, in ms. */
export const STOP_MS = 2_000;
