import { defineFault } from "./fault.ts";
import { runStorm, type StormSizes } from "./run_storm.ts";

/** After a kill every writer asks again for what it was not told. */
export const killed = defineFault<StormSizes>({
  name: "F1",
  fault: "the control plane is killed (-9), again and again, while everybody writes and watches",
  promise: "acknowledged writes survive, with the revision that was told; watchers: 0 lost, doubled, reordered",
  small: { writes: 1_200, writers: 8, watchers: 8, readers: 2, followers: 2, restarts: 5, signal: "SIGKILL" },
  full: { writes: 100_000, writers: 16, watchers: 24, readers: 4, followers: 4, restarts: 50, signal: "SIGKILL" },
  run: runStorm,
});
