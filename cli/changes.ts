import { type Instance, Instance_Status, type Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { formatInstance, formatRoute, formatStatus } from "./format.ts";
import { specChanges } from "./spec.ts";

/** One thing that changed in a service; `what` follows the service's name. */
interface ChangeLine {
  readonly service: string;
  readonly what: string;
}

/** What happened to a service between two snapshots, in words; nothing for what words do not show. */
export function changes(name: string, before: Service | undefined, after: Service | undefined): readonly ChangeLine[] {
  const line = (what: string) => ({ service: name, what });
  if (!after) return before ? [line("removed")] : [];
  const lines = before ? [] : [line("added")];
  if ((before?.enabled ?? true) !== after.enabled) lines.push(line(after.enabled ? "enabled" : "disabled"));
  lines.push(...specChanges(before?.spec, after.spec).map(line));
  for (const [id, was, is] of pairs(before?.instances, after.instances, ({ id }) => id)) {
    lines.push(...instanceChanges(was, is).map((what) => line(`instance ${id} ${what}`)));
  }
  for (const [alias, was, is] of pairs(before?.aliases, after.aliases, ({ name }) => name)) {
    const [from, to] = [was && formatRoute(was.route), is && formatRoute(is.route)];
    if (from !== to) lines.push(line(`alias ${alias} ${aliasChange(from, to)}`));
  }
  return lines;
}

function instanceChanges(was: Instance | undefined, is: Instance | undefined): string[] {
  if (!is) return ["removed"];
  if (!was) return [["added: " + formatInstance(is), ...stateOf(is)].join(", ")];
  const lines: string[] = [];
  if (formatInstance(was) !== formatInstance(is)) lines.push(`changed: ${formatInstance(was)} → ${formatInstance(is)}`);
  if (was.enabled !== is.enabled) lines.push(is.enabled ? "enabled" : "disabled");
  if (was.draining !== is.draining) lines.push(is.draining ? "draining" : "drains no more");
  if (was.held !== is.held) lines.push(is.held ? "held: its lease ran out with many others" : "held no more");
  if (was.status !== is.status) lines.push(formatStatus(is.status));
  // Registered again with other words only: zone, host, metadata.
  return lines.length > 0 || was.modified === is.modified ? lines : ["registered again"];
}

/** What is not as it is with most instances. */
function stateOf({ enabled, draining, held, status }: Instance): string[] {
  return [
    ...(enabled ? [] : ["disabled"]),
    ...(draining ? ["draining"] : []),
    ...(held ? ["held"] : []),
    ...(status === Instance_Status.PASSING || status === Instance_Status.FAILING ? [formatStatus(status)] : []),
  ];
}

function aliasChange(from: string | undefined, to: string | undefined): string {
  if (to === undefined) return "removed";
  return from === undefined ? `leads to ${to}` : `moved: ${from} → ${to}`;
}

/** Both forms of each, by key in byte order, as lists on the wire are. */
function pairs<T>(before: readonly T[] = [], after: readonly T[], keyOf: (item: T) => string) {
  const [was, is] = [
    new Map(before.map((item) => [keyOf(item), item])),
    new Map(after.map((item) => [keyOf(item), item])),
  ];
  const keys = [...new Set([...was.keys(), ...is.keys()])].sort();
  return keys.map((key) => [key, was.get(key), is.get(key)] as const);
}
