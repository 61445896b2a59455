/** Who changed what, when and why: the log of the store, told service by service. */
import { apply } from "../domain/change.ts";
import { type ClusterMap, findService, type Service } from "../domain/cluster_map.ts";
import type { OperationId, Realm, Revision, ServiceName } from "../domain/names.ts";
import type { Store } from "../store/store.ts";
import { replay } from "./load.ts";
import { changeOf, mapPrefix, type Note, noteOf } from "./store_keys.ts";

export interface HistoryQuery {
  readonly realm: Realm;
  /** Absent: of all. */
  readonly service?: ServiceName;
  /** Only what came after it; what is forgotten is left out. */
  readonly after: Revision;
  readonly operationId?: OperationId;
  /** Only the newest so many. */
  readonly limit?: number;
}

/** One commit's change of one service. */
export interface HistoryEntry {
  readonly revision: Revision;
  readonly service: ServiceName;
  readonly note: Note;
  /** Absent: it did not exist. */
  readonly before?: Service;
  /** Absent: it does not exist any more. */
  readonly after?: Service;
}

/** Oldest first. Throws `Lost` where the past is forgotten faster than it is told. */
export async function* history(store: Store, query: HistoryQuery): AsyncGenerator<HistoryEntry> {
  const oldest = store.remembered();
  const from = query.after > oldest ? query.after : oldest;
  const found = await find(store, query, from);
  const first = found?.at(0);
  if (found && !first) return;
  const after = first ? (first.revision - 1n) as Revision : from;
  const names = found && new Set(found.map(({ service }) => service));
  const wanted = found && new Set(found.map(({ revision, service }) => `${revision}/${service}`));
  let map = await mapAt(store, query, after, names);
  for await (const { revision, writes } of store.history(mapPrefix(query.realm, query.service), after)) {
    const mine = names ? writes.filter(({ key }) => names.has(key.split("/")[2] as ServiceName)) : writes;
    const next = apply(map, revision, mine.map(changeOf).filter((change) => change !== undefined));
    for (const { service, note } of mine.map(noteOf).filter((touch) => touch !== undefined)) {
      if (wanted && !wanted.has(`${revision}/${service}`)) continue;
      const before = findService(map, query.realm, service);
      const now = findService(next, query.realm, service);
      yield { revision, service, note, ...(before && { before }), ...(now && { after: now }) };
    }
    map = next;
  }
}

/** Which changes are asked for; nothing where all are: then they need not be looked for first. */
async function find(store: Store, { realm, service, operationId, limit }: HistoryQuery, from: Revision) {
  if (operationId === undefined && limit === undefined) return undefined;
  let found: { readonly revision: Revision; readonly service: ServiceName }[] = [];
  for await (const { revision, writes } of store.history(mapPrefix(realm, service), from)) {
    for (const touch of writes.map(noteOf)) {
      if (!touch || operationId !== undefined && touch.note.operationId !== operationId) continue;
      found.push({ revision, service: touch.service });
    }
    if (limit !== undefined && found.length > 2 * limit) found = found.slice(-limit);
  }
  return limit === undefined ? found : found.slice(-limit);
}

async function mapAt(store: Store, { realm, service }: HistoryQuery, at: Revision, names?: ReadonlySet<ServiceName>) {
  // Few services are read one by one: a realm may be large.
  const prefixes = names && names.size <= FEW
    ? [...names].map((name) => mapPrefix(realm, name))
    : [mapPrefix(realm, service)];
  const parts = await Promise.all(prefixes.map((prefix) => store.read(prefix, at)));
  return replay({ revision: at, entries: parts.flatMap(({ entries }) => entries) }) satisfies ClusterMap;
}

const FEW = 64;
