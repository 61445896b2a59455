/** All faults, in the order in which they run. */
import { changingMap } from "./changing_map.ts";
import { clockJumps } from "./clock_jumps.ts";
import { dyingHaproxy } from "./dying_haproxy.ts";
import { dyingSidecar } from "./dying_sidecar.ts";
import type { Fault } from "./fault.ts";
import { fullDisk } from "./full_disk.ts";
import { injection } from "./injection.ts";
import { killed } from "./killed.ts";
import { massSilence } from "./mass_silence.ts";
import { overtaken } from "./overtaken.ts";
import { restored } from "./restored.ts";
import { returningHerd } from "./returning_herd.ts";
import { serverChurn } from "./server_churn.ts";
import { silentReader } from "./silent_reader.ts";
import { stopped } from "./stopped.ts";
import { unrenderable } from "./unrenderable.ts";
import { unusableFile } from "./unusable_file.ts";
import { watchProperty } from "./watch_property.ts";
import { withoutControlPlane } from "./without_control_plane.ts";

export const FAULTS: readonly Fault[] = [
  watchProperty,
  killed,
  stopped,
  withoutControlPlane,
  dyingSidecar,
  dyingHaproxy,
  changingMap,
  serverChurn,
  silentReader,
  restored,
  overtaken,
  unrenderable,
  injection,
  returningHerd,
  fullDisk,
  clockJumps,
  massSilence,
  unusableFile,
];
