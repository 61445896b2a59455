import type { Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import type { Log } from "../proto/log.ts";
import { formatPosition } from "../sdk-ts/fold.ts";
import { follow, type Following, type Snapshot } from "../sdk-ts/follow.ts";
import { changes } from "./changes.ts";
import { command, EXIT, type Io } from "./command.ts";
import { reach } from "./control_plane.ts";
import { type Output, READ } from "./flags.ts";
import { failureOf } from "./refusal.ts";
import { stopSignal } from "./stop_signal.ts";
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
    await using following = follow({
      controlPlanes: [address, ...controlPlane.filter((one) => one !== address)],
      scope: { realm, services: args },
      // Who looks on needs no name: the control plane gives it one.
      follower: { id: "", kind: Follower_Kind.TOOL, program: `portolan-cli/${VERSION}`, zone: "" },
      log: logTo(io),
    });
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

async function print(following: Following, realm: string, output: Output, { out }: Io): Promise<void> {
  let before: ReadonlyMap<string, Service> | undefined;
  for await (const snapshot of following) {
    if (before) out(linesOf(before, snapshot, output));
    else out(startOf(snapshot, realm, output));
    before = snapshot.services;
  }
}

function startOf({ position, services }: Snapshot, realm: string, output: Output): string {
  const at = formatPosition(position);
  if (output === "json") return JSON.stringify({ position: at, realm, services: [...services.keys()].sort() }) + "\n";
  return `Following realm "${realm}" from position ${at}: ${services.size} ${
    services.size === 1 ? "service" : "services"
  }\n`;
}

function linesOf(before: ReadonlyMap<string, Service>, { position, services, changed }: Snapshot, output: Output) {
  const lines = [...changed].sort().flatMap((name) => changes(name, before.get(name), services.get(name)));
  return lines.map(({ service, what }) =>
    output === "json"
      ? JSON.stringify({ position: formatPosition(position), service, change: what }) + "\n"
      : `${position.revision}  ${service}  ${what}\n`
  ).join("");
}

/** What goes wrong meanwhile, on standard error. */
function logTo({ err }: Io): Log {
  const line: Log["warn"] = (message, fields) =>
    err(`portolan watch: ${message}: ${fields?.["reason"]}, trying again\n`);
  return { info() {}, warn: line, error: line };
}
