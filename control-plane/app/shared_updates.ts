/** One update for all who are owed the same, so that it is encoded once for all of them. */
import type { ClusterMap, Position } from "../domain/cluster_map.ts";
import type { Realm, ServiceName } from "../domain/names.ts";
import { canResume, collect, type Scope, since, type Update } from "../domain/update.ts";

// More names than this are seldom owed to two watchers alike.
const MOST_NAMES = 16;

// Each may be the whole map, and watchers choose what they are after.
const MOST_UPDATES = 8;

/** Remembers updates of the newest map only, the last few that were made. */
export class SharedUpdates {
  #map: ClusterMap | undefined;
  #updates = new Map<string, Update>();

  since(map: ClusterMap, scope: Scope, after?: Position): Update {
    const make = () => since(map, scope, after);
    if (scope.services) return make();
    // Whoever cannot resume gets the same.
    const from = after && canResume(map, after) ? after.revision : "";
    return this.#remember(map, `${scope.realm}/${from}`, make);
  }

  collect(map: ClusterMap, realm: Realm, names: ReadonlySet<ServiceName>): Update {
    const make = () => collect(map, realm, names);
    if (names.size > MOST_NAMES) return make();
    const key = names.size === 1 ? [...names][0] : [...names].sort().join();
    return this.#remember(map, `${realm}:${key}`, make);
  }

  #remember(map: ClusterMap, key: string, make: () => Update): Update {
    if (this.#map !== map) {
      this.#map = map;
      this.#updates = new Map();
    }
    const known = this.#updates.get(key);
    if (known) return known;
    const update = make();
    const [oldest] = this.#updates.keys();
    if (oldest !== undefined && this.#updates.size >= MOST_UPDATES) this.#updates.delete(oldest);
    this.#updates.set(key, update);
    return update;
  }
}
