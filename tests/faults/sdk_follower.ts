/** A follower of the SDK, held to the same: what changed between two of its snapshots is an update. */
import { Follower_Kind } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { follow, type Snapshot } from "../../sdk-ts/follow.ts";
import { Folded } from "./folded.ts";
import { type At, type Update, WatchOracle } from "./oracle_watch.ts";
import { between, type Chance, someOf } from "./seed.ts";
import { serviceText } from "./service_text.ts";
import type { Storm } from "./storm.ts";

/** Follows until the storm is over and it holds everything; throws when a promise was broken. */
export async function followStorm(storm: Storm, who: string, chance: Chance): Promise<void> {
  const realm = chance.pick(storm.realms);
  const services = chance.oneIn(3) ? [] : someOf(chance, storm.followed);
  const oracle = new WatchOracle(who, realm, (epoch) => storm.logOf(epoch));
  const folded = new Folded();
  await using following = follow({
    controlPlanes: [storm.plane.grpc],
    scope: { realm, services },
    follower: { id: who, kind: Follower_Kind.SDK, program: "faults/1", zone: "" },
  });
  oracle.subscribed(services, undefined);
  const snapshots = following[Symbol.asyncIterator]();
  let next = snapshots.next();
  for (;;) {
    oracle.check();
    if (storm.final && oracle.holds(storm.final)) break;
    const snapshot = await (storm.final ? next : unless(storm.over, next));
    if (!snapshot) continue;
    if (snapshot.done) throw new Error(`${who}: its snapshots ended`);
    const update = difference(snapshot.value, folded.position);
    oracle.updated(update);
    folded.take(update);
    storm.count("snapshots of the SDK");
    following.applied(snapshot.value.position);
    if (chance.oneIn(4)) await new Promise((resolve) => setTimeout(resolve, between(chance, 0, 50)));
    next = snapshots.next();
  }
  oracle.assertChecked();
  await folded.assertServed(storm.plane, realm, services, who);
}

/** What the promise brings, or nothing as soon as the signal aborts. A race with it would keep all that ever won. */
function unless<T>(signal: AbortSignal, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const over = () => resolve(undefined);
    signal.addEventListener("abort", over, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", over));
  });
}

function difference({ position, services, changed }: Snapshot, held: At | undefined): Update {
  const names = [...changed];
  return {
    position,
    complete: held === undefined,
    set: names.flatMap((name) => {
      const service = services.get(name);
      return service ? [{ name, text: serviceText(service) }] : [];
    }),
    deleted: held ? names.filter((name) => !services.has(name)) : [],
  };
}
