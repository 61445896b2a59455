/**
 * Changes as keys and values of the store, and back. The only file that knows their layout:
 *
 * | key | value |
 * |---|---|
 * | `epoch`, `floor` | a number |
 * | `service/REALM/NAME` | the service's own fields; guarded by what is decided of it |
 * | `touch/REALM/NAME` | nothing: its revision is that of the last commit on anything of the service |
 * | `instance/REALM/NAME/ID` | the instance |
 * | `alias/REALM/NAME/ALIAS` | the alias's route |
 * | `gone/REALM/NAME` | nothing: the service was deleted at this key's revision |
 *
 * Names hold no slash. Values are JSON, so that an operator can read a store with its own tools.
 */
import type { Change } from "../domain/change.ts";
import type { Reliance } from "../domain/command.ts";
import {
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
import { parseSplit, type Route } from "../domain/route.ts";
import type { Guard, Write } from "../store/store.ts";

/** Where the epoch stands: absent in a store that nobody has used. */
export const EPOCH_KEY = "epoch";

const NOTHING = new Uint8Array();

/** What a commit writes to say `change`. */
export function writesOf(change: Change): Write {
  switch (change.kind) {
    case "begin_epoch":
      return { key: EPOCH_KEY, value: encode(change.epoch.toString()) };
    case "raise_floor":
      return { key: "floor", value: encode(change.floor.toString()) };
    case "put_service":
      return { key: key("service", change), value: encode({ enabled: change.enabled }) };
    case "touch_service":
      return { key: key("touch", change), value: NOTHING };
    case "delete_service":
      return { key: key("gone", change), value: NOTHING };
    case "forget_service":
      return { key: key("gone", change) };
    case "put_instance": {
      const { id, ...rest } = change.instance;
      return { key: key("instance", change, id), value: encode(rest) };
    }
    case "delete_instance":
      return { key: key("instance", change, change.id) };
    case "put_alias":
      return { key: key("alias", change, change.alias.name), value: encode(change.alias.route) };
    case "delete_alias":
      return { key: key("alias", change, change.name) };
  }
}

/** What must not have moved for a decision to hold. */
export function guardOf({ instance, alias, touch, revision, ...of }: Reliance): Guard {
  if (touch) return { key: key("touch", of), revision };
  if (instance !== undefined) return { key: key("instance", of, instance), revision };
  if (alias !== undefined) return { key: key("alias", of, alias), revision };
  return { key: key("service", of), revision };
}

/** What a write of the log says; nothing where another write of its commit says it. Throws on what is not ours. */
export function changeOf({ key, value }: Write): Change | undefined {
  try {
    return parseWrite(key.split("/"), value);
  } catch (error) {
    throw new Error(`Cannot read the store: key "${key}" holds what this program never wrote`, { cause: error });
  }
}

function parseWrite([kind, realm = "", service = "", part = ""]: readonly string[], value?: Uint8Array) {
  if (kind === EPOCH_KEY) return { kind: "begin_epoch", epoch: must(parseEpoch(BigInt(json(value)))) } as const;
  if (kind === "floor") return { kind: "raise_floor", floor: must(parseRevision(BigInt(json(value)))) } as const;
  const of = { realm: must(parseRealm(realm)), service: must(parseServiceName(service)) };
  switch (kind) {
    case "service":
      // Its end is said by the tombstone, as is the touch key's.
      return value && { kind: "put_service", ...of, enabled: json(value).enabled === true } as const;
    case "touch":
      return value && { kind: "touch_service", ...of } as const;
    case "gone":
      return { kind: value ? "delete_service" : "forget_service", ...of } as const;
    case "instance": {
      const id = must(parseInstanceId(part));
      if (!value) return { kind: "delete_instance", ...of, id } as const;
      return { kind: "put_instance", ...of, instance: { id, ...parseInstance(json(value)) } } as const;
    }
    case "alias": {
      const name = must(parseAliasName(part));
      if (!value) return { kind: "delete_alias", ...of, name } as const;
      return { kind: "put_alias", ...of, alias: { name, route: parseRoute(json(value)) } } as const;
    }
    default:
      throw new Error(`unknown kind "${kind}"`);
  }
}

function parseInstance(stored: Record<string, unknown>) {
  const { host, port, version, weight, enabled, zone, hostId, metadata } = stored;
  return {
    host: must(parseHost(String(host))),
    port: must(parsePort(Number(port))),
    version: must(parseVersion(Number(version))),
    weight: must(parseWeight(Number(weight))),
    enabled: enabled === true,
    ...(zone !== undefined && { zone: must(parseZone(String(zone))) }),
    ...(hostId !== undefined && { hostId: must(parseHostId(String(hostId))) }),
    metadata: metadata as Readonly<Record<string, string>>,
  };
}

function parseRoute(stored: { kind?: string; version?: number; shares?: never[]; stickyHeader?: string }): Route {
  if (stored.kind === "version") return { kind: "version", version: must(parseVersion(Number(stored.version))) };
  const sticky = stored.stickyHeader === undefined ? undefined : must(parseStickyHeader(stored.stickyHeader));
  return must(parseSplit(stored.shares ?? [], sticky));
}

function must<T>(value: T | Invalid): T {
  if (value instanceof Invalid) throw new Error(value.problem);
  return value;
}

function key(kind: string, { realm, service }: { realm: string; service: string }, part?: string): string {
  return part === undefined ? `${kind}/${realm}/${service}` : `${kind}/${realm}/${service}/${part}`;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function encode(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

function json(value: Uint8Array | undefined) {
  return JSON.parse(decoder.decode(value));
}
