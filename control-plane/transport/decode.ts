/** Requests of the contract as commands and scopes of the domain. Total: whatever comes in gives a value or a refusal. */
import { MAX_METADATA_BYTES, type Position } from "../domain/cluster_map.ts";
import type { Command } from "../domain/command.ts";
import {
  DEFAULT_VERSION,
  DEFAULT_WEIGHT,
  Invalid,
  parseAliasName,
  parseEpoch,
  parseHost,
  parseHostId,
  parseInstanceId,
  parsePort,
  parseRealm,
  parseRevision,
  parseServiceName,
  parseStickyHeader,
  parseVersion,
  parseWeight,
  parseZone,
} from "../domain/names.ts";
import { type Refusal, refuse } from "../domain/refusal.ts";
import { parseSplit, type Route, type Share } from "../domain/route.ts";
import { metadataBytes, textBytes } from "../domain/size.ts";
import type { Scope } from "../domain/update.ts";
import type * as pb from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type {
  DeregisterRequest,
  InstanceSpec,
  PutAliasRequest,
  RegisterRequest,
  SetEnabledRequest,
} from "../../proto/gen/portolan/v1/registry_pb.ts";
import { Violations } from "./violations.ts";

/** A command and why it was given. */
export interface Order {
  readonly kind: "order";
  readonly command: Command;
  readonly reason: string;
}

/** Of any request, over any transport. */
export const MAX_REQUEST_BYTES = 1 << 20;

const MAX_REASON_BYTES = 1_024;

export function registerOrder(request: RegisterRequest): Order | Refusal {
  const fields = new Violations();
  const target = targetOf(fields, request);
  const id = fields.take("id", parseInstanceId(request.id));
  const instance = instanceOf(fields, request.instance);
  const bytes = request.instance ? metadataBytes(request.instance.metadata) : 0;
  const refusal = fields.refusal();
  if (refusal) return refusal;
  if (bytes > MAX_METADATA_BYTES) {
    return refuse("too_large", `metadata: ${bytes} bytes are more than ${MAX_METADATA_BYTES}`, [
      { field: "metadata", description: `expected keys and values of at most ${MAX_METADATA_BYTES} bytes together` },
    ]);
  }
  return order(request, { kind: "register", ...target, instance: { id, ...instance } });
}

export function deregisterOrder(request: DeregisterRequest): Order | Refusal {
  const fields = new Violations();
  const target = targetOf(fields, request);
  const id = fields.take("id", parseInstanceId(request.id));
  return fields.refusal() ?? order(request, { kind: "deregister", ...target, id });
}

export function setEnabledOrder(request: SetEnabledRequest): Order | Refusal {
  const fields = new Violations();
  const target = targetOf(fields, request);
  const id = request.id === "" ? undefined : fields.take("id", parseInstanceId(request.id));
  const { enabled } = request;
  const command = { kind: "set_enabled", ...target, enabled, ...(id !== undefined && { id }) } as const;
  return fields.refusal() ?? order(request, command);
}

export function putAliasOrder(request: PutAliasRequest): Order | Refusal {
  const fields = new Violations();
  const target = targetOf(fields, request);
  const alias = fields.take("alias", parseAliasName(request.alias));
  const route = routeOf(fields, request.route);
  return fields.refusal() ?? order(request, { kind: "put_alias", ...target, alias, route });
}

/** A scope as the domain has it. */
export function scopeOf(scope: pb.Scope | undefined): Scope | Refusal {
  const fields = new Violations();
  if (!scope) fields.add("scope", "is required");
  const realm = fields.take("realm", parseRealm(scope?.realm ?? ""));
  const services = (scope?.services ?? []).map((name, i) => fields.take(`services[${i}]`, parseServiceName(name)));
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

type Write = RegisterRequest | DeregisterRequest | SetEnabledRequest | PutAliasRequest;

function targetOf(fields: Violations, request: Write) {
  addUnknown(fields, request, "");
  const reason = request.options?.reason ?? "";
  if (textBytes(reason) > MAX_REASON_BYTES) fields.add("reason", `expected at most ${MAX_REASON_BYTES} bytes`);
  return {
    realm: fields.take("realm", parseRealm(request.realm)),
    service: fields.take("service", parseServiceName(request.service)),
  };
}

function order(request: Write, command: Command): Order {
  return { kind: "order", command, reason: request.options?.reason ?? "" };
}

function instanceOf(fields: Violations, spec: InstanceSpec | undefined) {
  if (!spec) fields.add("instance", "is required");
  if (spec?.ttl) fields.add("ttl", "leases are not served yet: leave it out to register for good");
  for (const key of Object.keys(spec?.metadata ?? {})) {
    if (key === "") fields.add("metadata", "expected keys that are not empty");
    // Readers in JavaScript cannot tell it from an object's prototype.
    if (key === "__proto__") fields.add("metadata.__proto__", "cannot be kept");
  }
  return {
    host: fields.take("host", parseHost(spec?.host ?? "")),
    port: fields.take("port", parsePort(spec?.port ?? 0)),
    version: fields.take("version", parseVersion(spec?.version ?? DEFAULT_VERSION)),
    weight: fields.take("weight", parseWeight(spec?.weight ?? DEFAULT_WEIGHT)),
    ...(spec?.zone && { zone: fields.take("zone", parseZone(spec.zone)) }),
    ...(spec?.hostId && { hostId: fields.take("hostId", parseHostId(spec.hostId)) }),
    metadata: { ...spec?.metadata },
  };
}

function routeOf(fields: Violations, route: pb.Route | undefined): Route {
  const { version = 0, split = [], stickyHeader = "" } = route ?? {};
  const none: Route = { kind: "version", version: DEFAULT_VERSION };
  if (version === 0 && split.length === 0) return fields.add("version", "expected a version or a split"), none;
  if (version !== 0 && split.length > 0) return fields.add("version", "expected either a version or a split"), none;
  if (version !== 0) {
    if (stickyHeader !== "") fields.add("stickyHeader", "expected only with a split");
    return { kind: "version", version: fields.take("version", parseVersion(version)) };
  }
  const shares: Share[] = split.map(({ version, share }, i) => ({
    version: fields.take(`split[${i}].version`, parseVersion(version)),
    share,
  }));
  const header = stickyHeader === "" ? undefined : fields.take("stickyHeader", parseStickyHeader(stickyHeader));
  return fields.take("split", parseSplit(shares, header));
}

/** Unknown fields have numbers for names. */
function addUnknown(fields: Violations, value: unknown, path: string): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) return value.forEach((item, i) => addUnknown(fields, item, `${path}[${i}]`));
  const inside = (name: string | number) => path === "" ? String(name) : `${path}.${name}`;
  for (const [key, inner] of Object.entries(value)) {
    // Metadata may have a key of that name too, with a text.
    if (key !== "$unknown") addUnknown(fields, inner, inside(key));
    else if (Array.isArray(inner)) { for (const { no } of inner) fields.add(inside(no), "unknown field"); }
  }
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

export function formatPosition({ epoch, revision }: Position): string {
  return `${epoch}.${revision}`;
}
