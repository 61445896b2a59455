import { defineFault } from "./fault.ts";
import { runStorm, type StormSizes } from "./run_storm.ts";

/** Everybody does all that the protocol allows, while writes and restarts go on. */
export const watchProperty = defineFault<StormSizes>({
  name: "watch",
  fault: "watchers with random scopes that pause, reconnect and change what they follow; rolling restarts",
  promise:
    "0 events lost, doubled, reordered or torn; every folded map is the server's; reads show what was told before",
  small: { writes: 1_200, writers: 8, watchers: 10, readers: 3, followers: 3, restarts: 2, signal: "SIGTERM" },
  full: { writes: 100_000, writers: 16, watchers: 80, readers: 10, followers: 10, restarts: 20, signal: "SIGTERM" },
  run: runStorm,
});
