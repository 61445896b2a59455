/** Values of the store as what they say, and back; see `store_keys.ts`. Parsing throws on what is not ours. */
import type { Instance, Status } from "../domain/cluster_map.ts";
import {
  Invalid,
  parseHost,
  parseHostId,
  parseLeaseId,
  parseOperationId,
  parsePort,
  parseStickyHeader,
  parseTtl,
  parseVersion,
  parseWeight,
  parseZone,
} from "../domain/names.ts";
import { parseSplit, type Route } from "../domain/route.ts";
import { DEFAULT_SPEC, type ServiceSpec } from "../domain/service_spec.ts";
import type { Note } from "./store_keys.ts";

type Fields = Readonly<Record<string, unknown>>;

/** An instance without its id, which stands in the key; what is as usual is left out. */
export function instanceValue(instance: Omit<Instance, "modified">): Fields {
  const { id: _, enabled, draining, status, held, ...rest } = instance;
  return {
    ...rest,
    ...(!enabled && { enabled }),
    ...(draining && { draining }),
    ...(held && { held }),
    ...(status !== "unknown" && { status }),
  };
}

export function parseInstance(stored: Fields): Omit<Instance, "id" | "modified"> {
  const { host, port, version, weight, enabled = true, draining = false, held = false } = stored;
  const { status = "unknown", zone, hostId, metadata, ttl, lease } = stored;
  return {
    host: must(parseHost(String(host))),
    port: must(parsePort(Number(port))),
    version: must(parseVersion(Number(version))),
    weight: must(parseWeight(Number(weight))),
    ...(zone !== undefined && { zone: must(parseZone(String(zone))) }),
    ...(hostId !== undefined && { hostId: must(parseHostId(String(hostId))) }),
    metadata: metadata as Instance["metadata"],
    ...(ttl !== undefined && { ttl: must(parseTtl(Number(ttl))) }),
    ...(lease !== undefined && { lease: must(parseLeaseId(String(lease))) }),
    enabled: enabled === true,
    draining: draining === true,
    status: parseStatus(status),
    held: held === true,
  };
}

export function parseSpec({ enabled, ...spec }: Fields): { enabled: boolean; spec: ServiceSpec } {
  if (typeof spec["protocol"] !== "string" || typeof spec["balancer"] !== "string") {
    throw new Error("no service's fields");
  }
  const isDefault = Object.keys(spec).length === 2 && spec["protocol"] === DEFAULT_SPEC.protocol &&
    spec["balancer"] === DEFAULT_SPEC.balancer;
  // One object for all services of which nothing was said.
  return { enabled: enabled === true, spec: isDefault ? DEFAULT_SPEC : spec as unknown as ServiceSpec };
}

export function parseRoute(stored: Fields): Route {
  if (stored["kind"] === "version") return { kind: "version", version: must(parseVersion(Number(stored["version"]))) };
  const { shares, stickyHeader } = stored;
  const sticky = stickyHeader === undefined ? undefined : must(parseStickyHeader(String(stickyHeader)));
  return must(parseSplit(Array.isArray(shares) ? shares : [], sticky));
}

export function parseNote({ time, identity, reason, operation, operationId }: Fields): Note {
  return {
    time: Number(time),
    identity: String(identity),
    ...(reason !== undefined && { reason: String(reason) }),
    operation: String(operation),
    ...(operationId !== undefined && { operationId: must(parseOperationId(String(operationId))) }),
  };
}

function parseStatus(status: unknown): Status {
  if (status === "passing" || status === "failing" || status === "unknown") return status;
  throw new Error(`unknown status "${status}"`);
}

export function must<T>(value: T | Invalid): T {
  if (value instanceof Invalid) throw new Error(value.problem);
  return value;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function toBytes(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

export function fields(value: Uint8Array): Fields {
  const parsed: unknown = JSON.parse(decoder.decode(value));
  if (typeof parsed !== "object" || parsed === null) throw new Error("no JSON object");
  return parsed as Fields;
}
