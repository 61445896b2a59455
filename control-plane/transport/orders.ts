/** Where gRPC and HTTP become one: what either asks of the application, done. From here on nothing knows of transports. */
import { anonymous, type Caller } from "../app/caller.ts";
import type { Arrival } from "../app/fleet.ts";
import type { Written } from "../app/operations.ts";
import { NO_REVISION, parseRealm } from "../domain/names.ts";
import type { Refusal } from "../domain/refusal.ts";
import type { ForgetFollowerRequest } from "../../proto/gen/portolan/v1/fleet_pb.ts";
import type { ReleaseHeldRequest } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { addUnknown, type Options, optionsOf } from "./decode.ts";
import type { HostOrder, Order } from "./decode_registry.ts";
import type { Wait } from "./fleet.ts";
import type { Ports } from "./ports.ts";
import { Violations } from "./violations.ts";

/** Does what an order says, whichever transport brought it. */
export function execute(
  { operations }: Pick<Ports, "operations">,
  order: Order | HostOrder,
): Promise<Written | Refusal> {
  const caller = writer(order);
  if (order.kind === "host") return operations.executeHost(caller, order.realm, order.hostId, order.command);
  return operations.execute(caller, order.command, order.lease);
}

/** Lets go what is held in a realm. */
export async function releaseHeld(
  { operations }: Pick<Ports, "operations">,
  request: ReleaseHeldRequest,
) {
  const fields = new Violations();
  addUnknown(fields, request, "");
  const realm = fields.take("realm", parseRealm(request.realm));
  const options = optionsOf(fields, request.options, false);
  if (options.operationId !== undefined) fields.add("operationId", "expected none: it ends by itself");
  return fields.refusal() ?? await operations.releaseHeld(writer(options), realm);
}

/** Takes a sidecar off the roster. */
export async function forget({ fleet }: Pick<Ports, "fleet">, request: ForgetFollowerRequest) {
  const fields = new Violations();
  addUnknown(fields, request, "");
  const realm = fields.take("realm", parseRealm(request.realm));
  const options = optionsOf(fields, request.options, false);
  if (options.operationId !== undefined) fields.add("operationId", "expected none: whoever is forgotten stays so");
  // A follower's id may be older than the grammar of names.
  if (request.id === "") fields.add("id", "expected a name, not nothing");
  return fields.refusal() ?? await fleet.forget(writer(options), realm, request.id);
}

/** Waits as long as is asked for, and no longer than `signals` allow; revision 0 is the newest. */
export async function arrival(
  { fleet, reading }: Ports,
  { realm, revision, timeoutMs }: Wait,
  signals: readonly AbortSignal[],
): Promise<Arrival> {
  const wanted = revision === NO_REVISION ? reading.position().revision : revision;
  const over = new AbortController();
  if (timeoutMs === 0) over.abort();
  const timer = setTimeout(() => over.abort(), timeoutMs);
  try {
    return await fleet.wait(realm, wanted, AbortSignal.any([...signals, over.signal]));
  } finally {
    clearTimeout(timer);
  }
}

/** On whose behalf a write is made. */
export function writer({ reason, operationId }: Options): Caller {
  return anonymous(undefined, reason, operationId);
}
