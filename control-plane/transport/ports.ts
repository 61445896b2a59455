/** What every transport is given to serve. */
import type { Discovery } from "../app/discovery.ts";
import type { Followers } from "../app/followers.ts";
import type { Log } from "../../proto/log.ts";

export interface Ports {
  readonly discovery: Discovery;
  readonly followers: Followers;
  readonly log: Log;
}

/** How long what is under way may take when a server stops, in ms. */
export const STOP_MS = 2_000;
