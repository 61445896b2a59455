/** All faults, in the order in which they run. */
import { clockJumps } from "./clock_jumps.ts";
import type { Fault } from "./fault.ts";
import { fullDisk } from "./full_disk.ts";
import { killed } from "./killed.ts";
import { massSilence } from "./mass_silence.ts";
import { overtaken } from "./overtaken.ts";
import { restored } from "./restored.ts";
import { returningHerd } from "./returning_herd.ts";
import { silentReader } from "./silent_reader.ts";
import { stopped } from "./stopped.ts";
import { unusableFile } from "./unusable_file.ts";
import { watchProperty } from "./watch_property.ts";

export const FAULTS: readonly Fault[] = [
  watchProperty,
  killed,
  stopped,
  silentReader,
  restored,
  overtaken,
  returningHerd,
  fullDisk,
  clockJumps,
  massSilence,
  unusableFile,
];
