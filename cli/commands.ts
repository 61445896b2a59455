import { alias } from "./alias.ts";
import type { Command } from "./command.ts";
import { completionOf } from "./completion.ts";
import { deregister } from "./deregister.ts";
import { disable, enable } from "./enable_disable.ts";
import { register } from "./register.ts";
import { services } from "./services.ts";
import { show } from "./show.ts";
import { split } from "./split.ts";
import { testCommand } from "./test_command.ts";
import { up } from "./up.ts";
import { watch } from "./watch.ts";

/** Programs of their own, which ./portolan starts before the command line is asked. */
const SERVERS = [
  { name: "control-plane", summary: "The control plane: keeps the map and serves it", flags: {} },
  { name: "sidecar", summary: "The sidecar: keeps this host's HAProxy in step with the map", flags: {} },
];

/** All commands of the command line, in the order in which help lists them. */
export const COMMANDS: readonly Command[] = [
  up,
  testCommand,
  services,
  show,
  watch,
  register,
  deregister,
  enable,
  disable,
  alias,
  split,
  completionOf(() => LISTED),
];

/** What can be written after ./portolan. */
export const LISTED: readonly Pick<Command, "name" | "summary" | "flags">[] = [
  ...COMMANDS.slice(0, 2),
  ...SERVERS,
  ...COMMANDS.slice(2),
];
