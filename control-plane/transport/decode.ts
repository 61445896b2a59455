/** What requests of all services have in common, as the domain has it. Total: whatever comes in gives a value or a refusal. */
import type { Position } from "../domain/cluster_map.ts";
import type { Expected } from "../domain/decision.ts";
import {
  Invalid,
  type OperationId,
  parseEpoch,
  parseOperationId,
  parseRealm,
  parseRevision,
  parseServiceName,
  type Revision,
} from "../domain/names.ts";
import type { Refusal } from "../domain/refusal.ts";
import { textBytes } from "../domain/size.ts";
import type { Scope } from "../domain/update.ts";
import type * as pb from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { WriteOptions } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { Violations } from "./violations.ts";

/** Of any request, over any transport. */
export const MAX_REQUEST_BYTES = 1 << 20;

const MAX_REASON_BYTES = 1_024;

/** That a scope names: it is kept with each follower, and shown. */
const MOST_SERVICES = 5_000;

/** What comes with every write. */
export interface Options {
  readonly reason: string;
  readonly expected?: Expected;
  readonly operationId?: OperationId;
}

/** Options of a write; a condition makes sense for `one` resource only. */
export function optionsOf(fields: Violations, options: WriteOptions | undefined, one = true): Options {
  const { reason = "", expectedRevision, operationId = "" } = options ?? {};
  if (textBytes(reason) > MAX_REASON_BYTES) fields.add("reason", `expected at most ${MAX_REASON_BYTES} bytes`);
  if (!one && expectedRevision !== undefined) fields.add("expectedRevision", "expected for one resource only");
  return {
    reason,
    ...(expectedRevision !== undefined &&
      { expected: fields.take("expectedRevision", parseRevision(expectedRevision)) }),
    ...(operationId !== "" && { operationId: fields.take("operationId", parseOperationId(operationId)) }),
  };
}

/** A scope as the domain has it. */
export function scopeOf(scope: pb.Scope | undefined): Scope | Refusal {
  const fields = new Violations();
  if (!scope) fields.add("scope", "is required");
  const realm = fields.take("realm", parseRealm(scope?.realm ?? ""));
  const names = scope?.services ?? [];
  if (names.length > MOST_SERVICES) fields.add("services", `expected at most ${MOST_SERVICES}; none means all of them`);
  const services = names.map((name, i) => fields.take(`services[${i}]`, parseServiceName(name)));
  return fields.refusal() ?? (services.length > 0 ? { realm, services: new Set(services) } : { realm });
}

/** A position as the domain has it; `field` names it in what is wrong with it. */
export function positionOf(position: pb.Position, field = "position"): Position | Refusal {
  const fields = new Violations();
  const epoch = fields.take(`${field}.epoch`, parseEpoch(position.epoch));
  const revision = fields.take(`${field}.revision`, parseRevision(position.revision));
  return fields.refusal() ?? { epoch, revision };
}

/** Refuses a request that holds fields of a later contract, which its sender relies on: they are not ignored. */
export function refuseUnknown(request: object): Refusal | undefined {
  const fields = new Violations();
  addUnknown(fields, request, "");
  return fields.refusal();
}

/** Unknown fields have numbers for names. */
export function addUnknown(fields: Violations, value: unknown, path: string): void {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  if (Array.isArray(value)) return value.forEach((item, i) => addUnknown(fields, item, `${path}[${i}]`));
  const inside = (name: string | number) => path === "" ? String(name) : `${path}.${name}`;
  for (const key in value) {
    const inner: unknown = value[key as keyof typeof value];
    if (typeof inner !== "object") continue;
    // Metadata may have a key of that name too, with a text.
    if (key !== "$unknown") addUnknown(fields, inner, inside(key));
    else if (Array.isArray(inner)) { for (const { no } of inner) fields.add(inside(no), "unknown field"); }
  }
}

/** A duration in whole ms; `undefined` where it is not one. */
export function millisOf({ seconds, nanos }: { seconds: bigint; nanos: number }): number | undefined {
  const ms = Number(seconds) * 1_000 + nanos / 1_000_000;
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** A whole number as text. */
export function parseWhole(text: string): bigint | Invalid {
  return /^[0-9]{1,19}$/.test(text) ? BigInt(text) : new Invalid("expected a whole number");
}

/** A revision as text. */
export function parseRevisionText(text: string): Revision | Invalid {
  const whole = parseWhole(text);
  return whole instanceof Invalid ? whole : parseRevision(whole);
}

/** `EPOCH.REVISION`, or a revision of the epoch that runs: as in ids of events. */
export function parsePosition(text: string, current: Position): Position | Invalid {
  const match = /^(?:([0-9]{1,19})\.)?([0-9]{1,19})$/.exec(text);
  if (!match) return new Invalid("expected EPOCH.REVISION or a revision");
  const epoch = match[1] === undefined ? current.epoch : parseEpoch(BigInt(match[1]));
  const revision = parseRevision(BigInt(match[2] ?? ""));
  if (epoch instanceof Invalid) return epoch;
  return revision instanceof Invalid ? revision : { epoch, revision };
}
