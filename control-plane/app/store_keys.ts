/**
 * Changes as keys and values of the store, and back. The only file that knows their layout:
 *
 * | key | value |
 * |---|---|
 * | `map/epoch`, `map/floor` | a number |
 * | `map/REALM/SERVICE/spec` | the service's own fields; guarded by what is decided of it |
 * | `map/REALM/SERVICE/touch` | who last changed anything of the service, when and why; also when it was deleted |
 * | `map/REALM/SERVICE/instance/ID` | the instance |
 * | `map/REALM/SERVICE/alias/ALIAS` | the alias's route |
 * | `roster/REALM/ID` | a sidecar that is expected to follow the map |
 * | `operation/REALM/ID/` | what a writer's operation did; its revision is the answer |
 *
 * Names hold no slash, and all of a service lies together. Values are JSON, so that an operator can read a store with its
 * own tools. The past of a `touch` is the history of its service.
 */
import type { Change } from "../domain/change.ts";
import type { Reliance } from "../domain/decision.ts";
import { parseAliasName, parseEpoch, parseInstanceId, parseRealm, parseRevision } from "../domain/names.ts";
import { type LeaseId, type OperationId, parseServiceName, type Realm, type ServiceName } from "../domain/names.ts";
import type { Guard, Sweep, Write } from "../store/store.ts";
import {
  fields,
  instanceValue,
  must,
  parseInstance,
  parseNote,
  parseRoute,
  parseSpec,
  toBytes,
} from "./store_values.ts";

/** Where the epoch stands: absent in a store that nobody has used. */
export const EPOCH_KEY = "map/epoch";
const FLOOR_KEY = "map/floor";
/** All of the map. */
export const MAP_PREFIX = "map/";
export const ROSTER_PREFIX = "roster/";
export const OPERATION_PREFIX = "operation/";

/** Who changed something, when and why. */
export interface Note {
  /** Wall clock in ms. */
  readonly time: number;
  readonly identity: string;
  readonly reason?: string;
  /** What was asked for: the kind of a command. */
  readonly operation: string;
  readonly operationId?: OperationId;
}

/** Under which all of a realm, or of one service, is kept. */
export function mapPrefix(realm: Realm, service?: ServiceName): string {
  return service === undefined ? `${MAP_PREFIX}${realm}/` : `${MAP_PREFIX}${realm}/${service}/`;
}

/** What a commit writes to say `changes`, of which `note` tells. */
export function writesOf(changes: readonly Change[], note: Note): readonly (Write | Sweep)[] {
  const writes: (Write | Sweep)[] = [];
  for (const change of changes) addWrites(writes, change, note);
  return writes;
}

/**
 * A write that knows what it says. A store hands writes back as they were given to it: what this process wrote need not be
 * read again.
 */
class Said implements Write {
  readonly value?: Uint8Array;

  constructor(readonly key: string, value: Uint8Array | undefined, readonly change: Change) {
    if (value) this.value = value;
  }
}

function addWrites(writes: (Write | Sweep)[], change: Change, note: Note): void {
  const say = (key: string, value?: unknown) =>
    writes.push(new Said(key, value === undefined ? undefined : toBytes(value), change));
  switch (change.kind) {
    case "begin_epoch":
      return void say(EPOCH_KEY, change.epoch.toString());
    case "raise_floor":
      return void say(FLOOR_KEY, change.floor.toString());
    case "put_service":
      return void say(key(change, "spec"), { enabled: change.enabled, ...change.spec });
    case "touch_service":
      return void say(key(change, "touch"), note);
    case "delete_service":
      // What goes with it is said by nobody.
      writes.push({ prefix: key(change, "alias/") }, { prefix: key(change, "instance/") }, {
        key: key(change, "spec"),
      });
      return void say(key(change, "touch"), { ...note, gone: true });
    case "forget_service":
      return void say(key(change, "touch"));
    case "put_instance":
      return void say(key(change, `instance/${change.instance.id}`), instanceValue(change.instance));
    case "delete_instance":
      return void say(key(change, `instance/${change.id}`));
    case "put_alias":
      return void say(key(change, `alias/${change.alias.name}`), change.alias.route);
    case "delete_alias":
      return void say(key(change, `alias/${change.name}`));
  }
}

/** What must not have moved for a decision to hold. */
export function guardOf({ instance, alias, touch, revision, ...of }: Reliance): Guard {
  if (touch) return { key: key(of, "touch"), revision };
  if (instance !== undefined) return { key: key(of, `instance/${instance}`), revision };
  if (alias !== undefined) return { key: key(of, `alias/${alias}`), revision };
  return { key: key(of, "spec"), revision };
}

/**
 * What a write of the log says of the map; nothing where it says nothing, or another write of its commit says it. Throws
 * on what is not ours.
 */
export function changeOf(write: Write): Change | undefined {
  if (write instanceof Said) return write.change;
  try {
    return parseWrite(write);
  } catch (error) {
    throw new Error(`Cannot read the store: key "${write.key}" holds what this program never wrote`, { cause: error });
  }
}

function parseWrite({ key, value }: Write) {
  if (key === EPOCH_KEY) return { kind: "begin_epoch", epoch: must(parseEpoch(BigInt(text(value)))) } as const;
  if (key === FLOOR_KEY) return { kind: "raise_floor", floor: must(parseRevision(BigInt(text(value)))) } as const;
  if (key.startsWith(ROSTER_PREFIX) || key.startsWith(OPERATION_PREFIX)) return undefined;
  const [room, realm = "", service = "", kind, part = ""] = key.split("/");
  if (room !== "map") throw new Error(`unknown room "${room}"`);
  const of = { realm: must(parseRealm(realm)), service: must(parseServiceName(service)) };
  switch (kind) {
    case "spec":
      // Its end is said by the touch.
      return value && { kind: "put_service", ...of, ...parseSpec(fields(value)) } as const;
    case "touch":
      if (!value) return { kind: "forget_service", ...of } as const;
      return { kind: fields(value)["gone"] === true ? "delete_service" : "touch_service", ...of } as const;
    case "instance": {
      const id = must(parseInstanceId(part));
      if (!value) return { kind: "delete_instance", ...of, id } as const;
      return { kind: "put_instance", ...of, instance: { id, ...parseInstance(fields(value)) } } as const;
    }
    case "alias": {
      const name = must(parseAliasName(part));
      if (!value) return { kind: "delete_alias", ...of, name } as const;
      return { kind: "put_alias", ...of, alias: { name, route: parseRoute(fields(value)) } } as const;
    }
    default:
      throw new Error(`unknown kind "${kind}"`);
  }
}

/** Of which service a write tells who touched it; nothing for other writes, and where that is forgotten. */
export function noteOf({ key, value }: Write): { realm: Realm; service: ServiceName; note: Note } | undefined {
  const [room, realm = "", service = "", kind] = key.split("/");
  if (room !== "map" || kind !== "touch" || !value) return undefined;
  return { realm: must(parseRealm(realm)), service: must(parseServiceName(service)), note: parseNote(fields(value)) };
}

/** What an operation did, beside its revision: a repeat is answered by it. */
interface OperationRecord {
  /** What it was, to tell a repeat from an id that is used for two things. */
  readonly of: string;
  readonly lease?: LeaseId;
}

/** Ends like no other operation's begins: all under it is this one. */
export function operationKey(realm: Realm, id: OperationId): string {
  return `${OPERATION_PREFIX}${realm}/${id}/`;
}

export function operationWrite(realm: Realm, id: OperationId, record: OperationRecord): Write {
  return { key: operationKey(realm, id), value: toBytes(record) };
}

export function parseOperation(value: Uint8Array): OperationRecord {
  const { of, lease } = fields(value);
  return { of: String(of), ...(lease !== undefined && { lease: lease as LeaseId }) };
}

function key({ realm, service }: { realm: Realm; service: ServiceName }, rest: string): string {
  return `${MAP_PREFIX}${realm}/${service}/${rest}`;
}

function text(value: Uint8Array | undefined): string {
  return JSON.parse(new TextDecoder().decode(value));
}
