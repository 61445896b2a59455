/** Who changed what, when and why: the log of the store, told service by service. */
import { apply } from "../domain/change.ts";
import { findService, type Service } from "../domain/cluster_map.ts";
import type { OperationId, Realm, Revision, ServiceName } from "../domain/names.ts";
import { Lost, type Store, type Until } from "../store/store.ts";
import { mapAt } from "./past.ts";
import { changeOf, EPOCH_KEY, mapPrefix, type Note, noteOf } from "./store_keys.ts";

export interface HistoryQuery {
  readonly realm: Realm;
  /** Absent: of all. */
  readonly service?: ServiceName;
  /** Only what came after it; what is forgotten is left out. */
  readonly after: Revision;
  readonly operationId?: OperationId;
  /** Only the newest so many. */
  readonly limit?: number;
  /** Ends it. */
  readonly signal?: AbortSignal;
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

/**
 * Oldest first. What is forgotten before it is told is left out too. Throws the reason of the query's signal once that
 * aborts.
 */
export async function* history(store: Store, query: HistoryQuery): AsyncGenerator<HistoryEntry> {
  const newest = (await store.read(EPOCH_KEY)).revision;
  const all = query.operationId === undefined && query.limit === undefined;
  const found = all ? undefined : await find(store, query, newest);
  const [first, last] = [found?.at(0), found?.at(-1)];
  if (found && !first) return;
  const wanted = found && new Set(found.map(nameOf));
  const services = found ? new Set(found.map(({ service }) => service)) : query.service && new Set([query.service]);
  const upTo = last?.revision ?? newest;
  let told = first ? (first.revision - 1n) as Revision : query.after;
  for (let after; (after = latest(told, store.remembered())) < upTo;) {
    try {
      for await (const commit of commits(store, query, services, after, upTo)) {
        for (const entry of commit.entries) if (!wanted || wanted.has(nameOf(entry))) yield entry;
        told = commit.revision;
      }
      return;
    } catch (error) {
      if (!(error instanceof Lost) || store.remembered() <= after) throw error;
    }
  }
}

/** What each commit changed of some services, or of all. Throws `Lost`. */
async function* commits(
  store: Store,
  { realm, service, signal }: HistoryQuery,
  services: ReadonlySet<ServiceName> | undefined,
  after: Revision,
  upTo: Revision,
) {
  let map = await mapAt(store, { realm, ...(services && { services }) }, after, signal);
  for await (const { revision, writes } of store.history(mapPrefix(realm, service), after, until(upTo, signal))) {
    const mine = services ? writes.filter(({ key }) => services.has(key.split("/")[2] as ServiceName)) : writes;
    const next = apply(map, revision, mine.map(changeOf).filter((change) => change !== undefined));
    const entries = mine.map(noteOf).filter((touch) => touch !== undefined).map(({ service, note }): HistoryEntry => {
      const [before, now] = [map, next].map((one) => findService(one, realm, service));
      return { revision, service, note, ...(before && { before }), ...(now && { after: now }) };
    });
    yield { revision, entries };
    map = next;
  }
}

type Touch = Pick<HistoryEntry, "revision" | "service">;

/** Which changes up to `newest` are asked for: looked for from there back, until there are enough. */
async function find(store: Store, query: HistoryQuery, newest: Revision): Promise<readonly Touch[]> {
  const { after, limit = Infinity } = query;
  let found: readonly Touch[] = [];
  for (let [to, span] = [newest, SPAN]; found.length < limit && to > latest(after, store.remembered());) {
    const from = latest(after, store.remembered(), to - span as Revision);
    try {
      found = [...await findBetween(store, query, from, to), ...found].slice(-limit);
      [to, span] = [from, 2n * span];
    } catch (error) {
      if (!(error instanceof Lost) || store.remembered() <= from) throw error;
    }
  }
  return found;
}

/** How many of the newest revisions are looked through first. */
const SPAN = 256n;

async function findBetween(
  store: Store,
  { realm, service, operationId, limit = Infinity, signal }: HistoryQuery,
  from: Revision,
  to: Revision,
): Promise<readonly Touch[]> {
  let found: Touch[] = [];
  for await (const { revision, writes } of store.history(mapPrefix(realm, service), from, until(to, signal))) {
    for (const touch of writes.map(noteOf)) {
      if (!touch || operationId !== undefined && touch.note.operationId !== operationId) continue;
      found.push({ revision, service: touch.service });
    }
    if (found.length > 2 * limit) found = found.slice(-limit);
  }
  return found;
}

function until(upTo: Revision, signal: AbortSignal | undefined): Until {
  return { upTo, ...(signal && { signal }) };
}

function nameOf({ revision, service }: Touch): string {
  return `${revision}/${service}`;
}

function latest(...revisions: readonly Revision[]): Revision {
  return revisions.reduce((most, one) => one > most ? one : most);
}
