import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import type { Log } from "../proto/log.ts";
import { formatPosition } from "../proto/position.ts";
import { follow, type Following, type Snapshot } from "../sdk-ts/follow.ts";
import { changes } from "./changes.ts";
import { command, EXIT, type Io } from "./command.ts";
import { reach } from "./control_plane.ts";
import { type Output, READ } from "./flags.ts";
import { count } from "./format.ts";
import { failureOf } from "./refusal.ts";
import { stopSignal } from "./stop_signal.ts";
import { oneLine } from "./table.ts";
import { VERSION } from "../proto/version.ts";

export const watch = command({
  name: "watch",
  summary: "Follows the map and prints what changes, until Ctrl-C",
  args: "[SERVICE…]",
  about: "Prints the revision, the service and what happened to it. Connects again by itself.",
  flags: READ,
  example: "./portolan watch identity teams --output json",
  async run({ settings: { realm, output, controlPlane }, args }, io) {
    const address = await reach(controlPlane);
    const stop = stopSignal();
    await using following = look(controlPlane, address, { realm, services: args }, logTo(io));
    const printing = print(following, realm, output, io);
    try {
      await Promise.race([stop.signalled, printing]);
    } catch (error) {
      throw failureOf((error as Error).cause, "follow the map", address);
    } finally {
      stop[Symbol.dispose]();
    }
    return EXIT.done;
  },
});

/** Follows the map as who looks on: no name is needed, the control plane gives it one. `first` was just reached. */
export function look(
  addresses: readonly string[],
  first: string,
  scope: { realm: string; services: readonly string[] },
  log: Log,
): Following {
  return follow({
    controlPlanes: [first, ...addresses.filter((one) => one !== first)],
    scope,
    follower: { id: "", kind: Follower_Kind.TOOL, program: `portolan-cli/${VERSION}`, zone: "" },
    log,
  });
}

async function print(following: Following, realm: string, output: Output, { out }: Io): Promise<void> {
  let before: Snapshot | undefined;
  for await (const snapshot of following) {
    if (before) out(linesOf(before, snapshot, realm, output));
    else out(startOf(snapshot, realm, output));
    before = snapshot;
  }
}

function startOf({ position, services }: Snapshot, realm: string, output: Output): string {
  const at = formatPosition(position);
  if (output === "json") return JSON.stringify({ position: at, realm, services: [...services.keys()].sort() }) + "\n";
  return `Following realm "${realm}" from position ${at}: ${count(services.size, "service")}\n`;
}

function linesOf(before: Snapshot, { position, services, changed }: Snapshot, realm: string, output: Output): string {
  const at = formatPosition(position);
  const lines = [...changed].sort().flatMap((name) => changes(name, before.services.get(name), services.get(name)));
  const begun = output === "table" && position.epoch !== before.position.epoch
    ? `${position.revision}  the map begins epoch ${position.epoch}: it was imported or restored\n`
    : "";
  return begun +
    lines.map(({ service, what }) =>
      output === "json"
        ? JSON.stringify({ position: at, realm, service, change: what }) + "\n"
        : `${position.revision}  ${service}  ${oneLine(what)}\n`
    ).join("");
}

/** What goes wrong meanwhile, on standard error. */
function logTo({ err }: Io): Log {
  const line: Log["warn"] = (message, fields) =>
    err(`portolan watch: ${message}: ${oneLine(`${fields?.["reason"]}`)}, trying again\n`);
  return { info() {}, warn: line, error: line };
}
