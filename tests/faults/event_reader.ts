/** A reader of server-sent events that comes, reads at its pace, goes, and comes back with the id it has. */
import type { Part } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { watchEvents } from "./event_watch.ts";
import { Folded } from "./folded.ts";
import { type At, updateOf, WatchOracle } from "./oracle_watch.ts";
import { between, type Chance, someOf } from "./seed.ts";
import type { Storm } from "./storm.ts";

/** Reads until the storm is over and it holds everything; throws when the control plane broke a promise. */
export async function readStorm(storm: Storm, who: string, chance: Chance): Promise<void> {
  const realm = chance.pick(storm.realms);
  const services = chance.oneIn(3) ? [] : someOf(chance, storm.followed);
  const oracle = new WatchOracle(who, realm, (epoch) => storm.logOf(epoch));
  const folded = new Folded();
  const done = () => {
    oracle.check();
    return storm.final !== undefined && oracle.holds(storm.final);
  };
  while (!done()) {
    await storm.plane.serving();
    storm.count("streams of events");
    oracle.subscribed(services, folded.position);
    const leave = new AbortController();
    const over = () => done() && leave.abort();
    storm.over.addEventListener("abort", over);
    let parts: Part[] = [];
    let updates = chance.oneIn(4) ? Infinity : between(chance, 1, 40);
    await watchEvents({
      http: storm.plane.http,
      realm,
      services,
      lastEventId: folded.position && eventId(folded.position, chance.oneIn(3) && !storm.putBack),
      signal: leave.signal,
      async onPart(part, id) {
        // An id that came before its update is whole would lose what did not come any more.
        if ((id === undefined) === part.last) throw new Error(`${who}: id ${id} on a part, last: ${part.last}`);
        if (leave.signal.aborted) return;
        parts.push(part);
        if (!part.last) return chance.oneIn(3) ? leave.abort() : undefined;
        const update = updateOf(parts);
        parts = [];
        oracle.updated(update);
        folded.take(update);
        storm.count("updates as events");
        if (chance.oneIn(4)) await new Promise((resolve) => setTimeout(resolve, between(chance, 0, 30)));
        if (--updates <= 0 || done()) leave.abort();
      },
    });
    storm.over.removeEventListener("abort", over);
  }
  oracle.assertChecked();
  await folded.assertServed(storm.plane, realm, services, who);
}

/** As browsers say it; or a bare revision, which is one of the epoch that runs. */
function eventId({ epoch, revision }: At, bare: boolean): string {
  return bare ? `${revision}` : `${epoch}.${revision}`;
}
