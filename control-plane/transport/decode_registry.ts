/** Writes of the contract as commands of the domain. Total: whatever comes in gives an order or a refusal. */
import type { HostCommand } from "../app/operations.ts";
import type { InstanceSpec, Status } from "../domain/cluster_map.ts";
import type { Command, CommandOf } from "../domain/command.ts";
import {
  DEFAULT_VERSION,
  DEFAULT_WEIGHT,
  type HostId,
  type InstanceId,
  Invalid,
  type LeaseId,
  parseAliasName,
  parseHost,
  parseHostId,
  parseInstanceId,
  parseLeaseId,
  parsePort,
  parseRealm,
  parseServiceName,
  parseTtl,
  parseVersion,
  parseWeight,
  parseZone,
  type Realm,
} from "../domain/names.ts";
import { type Refusal, refuse } from "../domain/refusal.ts";
import { metadataBytes } from "../domain/size.ts";
import { type Instance as InstanceMessage, Instance_Status } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type * as pb from "../../proto/gen/portolan/v1/registry_pb.ts";
import { MAX_METADATA_BYTES } from "../../proto/limits.ts";
import { addUnknown, millisOf, type Options, optionsOf } from "./decode.ts";
import { routeOf, specOf } from "./decode_spec.ts";
import { Violations } from "./violations.ts";

/** A command and what came with it. */
export interface Order extends Options {
  readonly kind: "order";
  readonly command: Command;
  /** The lease that a registration is to join. */
  readonly lease?: LeaseId;
}

/** The same for all instances of a host. */
export interface HostOrder extends Options {
  readonly kind: "host";
  readonly realm: Realm;
  readonly hostId: HostId;
  readonly command: HostCommand;
}

export function registerOrder(request: pb.RegisterRequest): Order | Refusal {
  const fields = new Violations();
  const target = targetOf(fields, request);
  const options = optionsOf(fields, request.options);
  const id = fields.take("id", parseInstanceId(request.id));
  const spec = request.instance;
  if (!spec) fields.add("instance", "is required");
  const instance = instanceOf(fields, spec ?? {});
  const lease = request.leaseId === "" ? undefined : fields.take("leaseId", parseLeaseId(request.leaseId));
  if (lease !== undefined && !spec?.ttl) fields.add("ttl", "is required with a lease");
  const refusal = fields.refusal() ?? metadataProblem(spec?.metadata ?? {}, "metadata");
  return refusal ?? order({ kind: "register", ...target, instance: { id, ...instance } }, options, lease);
}

export function deregisterOrder(request: pb.DeregisterRequest): Order | Refusal {
  const fields = new Violations();
  const target = targetOf(fields, request);
  const options = optionsOf(fields, request.options);
  const id = fields.take("id", parseInstanceId(request.id));
  return fields.refusal() ?? order({ kind: "deregister", ...target, id }, options);
}

export function setEnabledOrder(request: pb.SetEnabledRequest): Order | HostOrder | Refusal {
  return selectionOrder(request, { kind: "set_enabled", enabled: request.enabled });
}

export function drainOrder(request: pb.DrainRequest): Order | HostOrder | Refusal {
  return selectionOrder(request, { kind: "drain" });
}

export function putServiceOrder(request: pb.PutServiceRequest): Order | Refusal {
  const fields = new Violations();
  const target = targetOf(fields, request);
  const options = optionsOf(fields, request.options);
  const spec = specOf(fields, request.spec);
  return fields.refusal() ?? order({ kind: "put_service", ...target, spec }, options);
}

export function deleteServiceOrder(request: pb.DeleteServiceRequest): Order | Refusal {
  const fields = new Violations();
  const target = targetOf(fields, request);
  const options = optionsOf(fields, request.options);
  return fields.refusal() ?? order({ kind: "delete_service", ...target, force: request.force }, options);
}

export function putAliasOrder(request: pb.PutAliasRequest): Order | Refusal {
  const fields = new Violations();
  const target = targetOf(fields, request);
  const options = optionsOf(fields, request.options);
  const alias = fields.take("alias", parseAliasName(request.alias));
  const route = routeOf(fields, request.route);
  return fields.refusal() ?? order({ kind: "put_alias", ...target, alias, route }, options);
}

export function deleteAliasOrder(request: pb.DeleteAliasRequest): Order | Refusal {
  const fields = new Violations();
  const target = targetOf(fields, request);
  const options = optionsOf(fields, request.options);
  const alias = fields.take("alias", parseAliasName(request.alias));
  return fields.refusal() ?? order({ kind: "delete_alias", ...target, alias }, options);
}

/** What a lease's holder says with a beat: commands by service. */
export function beatOf(
  request: pb.RenewRequest,
): { readonly lease: LeaseId; readonly reports: readonly Report[] } | Refusal {
  const fields = new Violations();
  addUnknown(fields, request, "");
  const lease = fields.take("leaseId", parseLeaseId(request.leaseId));
  const reports = new Map<string, Report & { readonly statuses: Map<InstanceId, Status> }>();
  for (const [i, status] of request.statuses.entries()) {
    const at = `statuses[${i}].`;
    const realm = fields.take(`${at}realm`, parseRealm(status.realm));
    const service = fields.take(`${at}service`, parseServiceName(status.service));
    const id = fields.take(`${at}id`, parseInstanceId(status.id));
    const value = STATUSES[status.status];
    if (!value) fields.add(`${at}status`, "expected one of PASSING, FAILING, UNKNOWN");
    const key = `${realm}/${service}`;
    const report = reports.get(key) ??
      { kind: "report", realm, service, lease, statuses: new Map<InstanceId, Status>() };
    report.statuses.set(id, value ?? "unknown");
    reports.set(key, report);
  }
  return fields.refusal() ?? { lease, reports: [...reports.values()] };
}

type Report = CommandOf<"report">;

/** By the enum's numbers; unspecified is none. */
export const STATUSES: Readonly<Record<number, Status>> = {
  [Instance_Status.PASSING]: "passing",
  [Instance_Status.FAILING]: "failing",
  [Instance_Status.UNKNOWN]: "unknown",
};

function selectionOrder(
  request: pb.SetEnabledRequest | pb.DrainRequest,
  command: HostCommand,
): Order | HostOrder | Refusal {
  const fields = new Violations();
  if (request.hostId !== "" && request.service === "" && request.id === "") {
    addUnknown(fields, request, "");
    const realm = fields.take("realm", parseRealm(request.realm));
    const hostId = fields.take("hostId", parseHostId(request.hostId));
    const options = optionsOf(fields, request.options, false);
    return fields.refusal() ?? { kind: "host", realm, hostId, command, ...options };
  }
  if (request.hostId !== "") fields.add("hostId", "expected without a service or an instance");
  const target = targetOf(fields, request);
  const id = request.id === "" ? undefined : fields.take("id", parseInstanceId(request.id));
  const options = optionsOf(fields, request.options, id !== undefined || command.kind === "set_enabled");
  return fields.refusal() ?? order({ ...command, ...target, ...(id !== undefined && { id }) }, options);
}

/** A beat by whoever registered the instance that a path names. */
export function instanceBeatOf(
  request: pb.RenewRequest,
  path: { readonly realm?: string; readonly service?: string; readonly id?: string },
) {
  const fields = new Violations();
  addUnknown(fields, request, "");
  const lease = fields.take("leaseId", parseLeaseId(request.leaseId));
  if (request.statuses.length > 0) fields.add("statuses", "expected over gRPC only");
  const realm = fields.take("realm", parseRealm(path.realm ?? ""));
  const service = fields.take("service", parseServiceName(path.service ?? ""));
  const id = fields.take("id", parseInstanceId(path.id ?? ""));
  return fields.refusal() ?? { lease, realm, service, id };
}

function targetOf(fields: Violations, request: { readonly realm: string; readonly service: string }) {
  addUnknown(fields, request, "");
  return {
    realm: fields.take("realm", parseRealm(request.realm)),
    service: fields.take("service", parseServiceName(request.service)),
  };
}

function order(command: Command, { expected, ...options }: Options, lease?: LeaseId): Order {
  return {
    kind: "order",
    command: { ...command, ...(expected !== undefined && { expected }) },
    ...options,
    ...(lease !== undefined && { lease }),
  };
}

/** What a registrar says; `path` stands before the names of fields. */
export function instanceOf(
  fields: Violations,
  spec: Partial<pb.InstanceSpec | InstanceMessage>,
  path = "",
): Omit<InstanceSpec, "id"> {
  for (const key of Object.keys(spec.metadata ?? {})) {
    if (key === "") fields.add(`${path}metadata`, "expected keys that are not empty");
    // Readers in JavaScript cannot tell it from an object's prototype.
    if (key === "__proto__") fields.add(`${path}metadata.__proto__`, "cannot be kept");
  }
  return {
    host: fields.take(`${path}host`, parseHost(spec.host ?? "")),
    port: fields.take(`${path}port`, parsePort(spec.port ?? 0)),
    version: fields.take(`${path}version`, parseVersion(spec.version ?? DEFAULT_VERSION)),
    weight: fields.take(`${path}weight`, parseWeight(spec.weight ?? DEFAULT_WEIGHT)),
    ...(spec.zone && { zone: fields.take(`${path}zone`, parseZone(spec.zone)) }),
    ...(spec.hostId && { hostId: fields.take(`${path}hostId`, parseHostId(spec.hostId)) }),
    metadata: { ...spec.metadata },
    ...(spec.ttl && { ttl: fields.take(`${path}ttl`, ttlOf(spec.ttl)) }),
  };
}

function ttlOf(ttl: { seconds: bigint; nanos: number }) {
  const ms = millisOf(ttl);
  const parsed = ms === undefined ? undefined : parseTtl(ms);
  return parsed === undefined || parsed instanceof Invalid ? new Invalid("expected 1 s to 24 h, in whole ms") : parsed;
}

export function metadataProblem(metadata: Readonly<Record<string, string>>, field: string): Refusal | undefined {
  const bytes = metadataBytes(metadata);
  if (bytes <= MAX_METADATA_BYTES) return undefined;
  return refuse("too_large", `${field}: ${bytes} bytes are more than ${MAX_METADATA_BYTES}`, [
    { field, description: `expected keys and values of at most ${MAX_METADATA_BYTES} bytes together` },
  ]);
}
