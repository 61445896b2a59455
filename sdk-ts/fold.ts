import type { Position, Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Part } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { comparePositions, formatPosition } from "../proto/position.ts";

/** What a follower holds: every service of its scope, whole, as of `position` (unset: nothing yet). */
export interface Held {
  readonly position: Position | undefined;
  readonly services: ReadonlyMap<string, Service>;
}

/** Held for certain. */
export type HeldAt = Held & { readonly position: Position };

export const NOTHING: Held = { position: undefined, services: new Map() };

export type Folded =
  | { readonly kind: "held"; readonly held: HeldAt; readonly changed: ReadonlySet<string> }
  | { readonly kind: "refused"; readonly reason: string };

/**
 * Adds an update, all of its parts, to what is held. Refused, with the map kept: an update that goes back in history,
 * or that can only be a difference to something else. `changed` names the services that were set, deleted or lost.
 */
export function fold(held: Held, parts: readonly Part[]): Folded {
  const position = parts.at(-1)?.position;
  if (!position) return refused("an update without a position");
  const complete = parts.some((part) => part.complete);
  const reason = backwards(held.position, position) ?? (complete ? undefined : detached(held.position, position));
  if (reason) return refused(reason);

  const changed = new Set<string>();
  // A bookmark leaves the map as it is, so the same one is handed on.
  if (!complete && parts.every((part) => part.set.length + part.deleted.length === 0)) {
    return { kind: "held", held: { position, services: held.services }, changed };
  }
  const services = new Map(complete ? [] : held.services);
  for (const part of parts) {
    for (const service of part.set) services.set(service.name, service);
    for (const service of part.set) changed.add(service.name);
    for (const name of part.deleted) services.delete(name);
    for (const name of part.deleted) changed.add(name);
  }
  if (complete) { for (const name of held.services.keys()) if (!services.has(name)) changed.add(name); }
  return { kind: "held", held: { position, services }, changed };
}

function refused(reason: string): Folded {
  return { kind: "refused", reason };
}

// A position before that is a rollback, by accident or by replay.
function backwards(held: Position | undefined, position: Position): string | undefined {
  if (!held || comparePositions(position, held) >= 0) return undefined;
  return `position ${formatPosition(position)} is before ${formatPosition(held)}, which is held`;
}

function detached(held: Position | undefined, position: Position): string | undefined {
  if (held?.epoch === position.epoch) return undefined;
  const what = held ? formatPosition(held) : "nothing";
  return `position ${formatPosition(position)} comes as a difference, and ${what} is held`;
}
