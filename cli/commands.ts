import { alias } from "./alias.ts";
import { backup } from "./backup.ts";
import type { Command } from "./command.ts";
import { completionOf, type Listed } from "./completion.ts";
import { deregister } from "./deregister.ts";
import { drain } from "./drain.ts";
import { disable, enable } from "./enable_disable.ts";
import { exportMap } from "./export.ts";
import { followers } from "./followers.ts";
import { history } from "./history.ts";
import { importMap } from "./import.ts";
import { register } from "./register.ts";
import { remove } from "./remove.ts";
import { services } from "./services.ts";
import { show } from "./show.ts";
import { split } from "./split.ts";
import { testCommand } from "./test_command.ts";
import { top } from "./top.ts";
import { up } from "./up.ts";
import { wait } from "./wait.ts";
import { watch } from "./watch.ts";

/** Programs of their own, which ./portolan starts before the command line is asked. */
const SERVERS: readonly Listed[] = [
  { name: "control-plane", summary: "The control plane: keeps the map and serves it", flags: {}, words: [] },
  { name: "sidecar", summary: "The sidecar: keeps this host's HAProxy in step with the map", flags: {}, words: [] },
];

/** All commands of the command line, in the order in which help lists them. */
export const COMMANDS: readonly Command[] = [
  up,
  testCommand,
  services,
  show,
  watch,
  top,
  history,
  register,
  deregister,
  enable,
  disable,
  drain,
  alias,
  split,
  remove,
  wait,
  followers,
  exportMap,
  importMap,
  backup,
  completionOf(() => LISTED),
];

/** What can be written after ./portolan. */
export const LISTED: readonly Listed[] = [
  ...COMMANDS.slice(0, 2),
  ...SERVERS,
  ...COMMANDS.slice(2),
];
