/** A watcher that does all that the protocol allows: waits, comes and goes, follows something else on the same stream. */
import type { Part } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { Inbox } from "../../proto/testing/inbox.ts";
import { Folded } from "./folded.ts";
import { type At, type Update, updateOf, WatchOracle } from "./oracle_watch.ts";
import { openRawWatch, type RawWatch } from "./raw_watch.ts";
import { between, type Chance, someOf } from "./seed.ts";
import type { Storm } from "./storm.ts";

type Event =
  | { readonly kind: "part"; readonly part: Part; readonly subscription: number }
  | { readonly kind: "ended" | "over" };

/** What came of waits for a part of a stream that stands. */
export const LONGEST_SILENCE = "longest silence of a stream, s";

/** Watches until the storm is over and it holds everything; throws when the control plane broke a promise. */
export async function watchStorm(storm: Storm, who: string, chance: Chance): Promise<void> {
  await new Watcher(storm, who, chance).run();
}

class Watcher {
  readonly #realm: string;
  readonly #oracle: WatchOracle;
  readonly #folded = new Folded();
  readonly #storm: Storm;
  readonly #chance: Chance;
  readonly #who: string;
  #services: readonly string[] = [];
  #subscription = 0;
  #parts: Part[] = [];

  constructor(storm: Storm, who: string, chance: Chance) {
    this.#storm = storm;
    this.#who = who;
    this.#chance = chance;
    this.#realm = chance.pick(storm.realms);
    this.#oracle = new WatchOracle(who, this.#realm, (epoch) => storm.logOf(epoch));
    this.#services = this.#anyScope();
  }

  async run(): Promise<void> {
    while (!this.#done()) {
      await this.#storm.plane.serving();
      await this.#stream();
      this.#storm.count("streams");
    }
    this.#oracle.assertChecked();
    await this.#folded.assertServed(this.#storm.plane, this.#realm, this.#services, this.#who);
  }

  /** One stream, until it breaks, or this one leaves it. */
  async #stream(): Promise<void> {
    const inbox = new Inbox<Event>();
    const watch = openRawWatch({
      address: this.#storm.plane.grpc,
      realm: this.#realm,
      onPart: (part, subscription) => inbox.put({ kind: "part", part, subscription }),
    });
    const over = () => inbox.put({ kind: "over" });
    watch.ended.then(() => inbox.put({ kind: "ended" }));
    this.#storm.over.addEventListener("abort", over);
    const updates = this.#chance.oneIn(4) ? Infinity : between(this.#chance, 1, 80);
    try {
      this.#subscribe(watch, this.#resumes());
      for (let left = updates; left > 0 && !this.#done();) {
        const event = await this.#next(inbox);
        if (event.kind === "ended") break;
        if (event.kind === "part" && await this.#take(event, watch, inbox) === "updated") left--;
      }
    } finally {
      this.#storm.over.removeEventListener("abort", over);
      watch.cancel();
    }
  }

  async #next(inbox: Inbox<Event>): Promise<Event> {
    const since = performance.now();
    const event = await inbox.next();
    if (event.kind === "part") this.#storm.peak(LONGEST_SILENCE, (performance.now() - since) / 1_000);
    return event;
  }

  async #take({ part, subscription }: Event & { kind: "part" }, watch: RawWatch, inbox: Inbox<Event>) {
    if (subscription > this.#subscription) throw new Error(`${this.#who}: a part of subscription ${subscription}`);
    if (subscription < this.#subscription) return this.#storm.count("parts of an earlier subscription");
    this.#parts.push(part);
    if (!part.last) return this.#inTheMiddle(watch);
    const update = updateOf(this.#parts);
    this.#parts = [];
    this.#oracle.updated(update);
    this.#folded.take(update);
    this.#count(update);
    await this.#answer(update.position, watch, inbox);
    return "updated";
  }

  /** Parts are to come: it may lose patience. */
  #inTheMiddle(watch: RawWatch): void {
    this.#storm.count("updates of several parts");
    if (!this.#chance.oneIn(2)) return;
    this.#storm.count("left in the middle of an update");
    if (this.#chance.oneIn(2)) this.#change(watch);
    else watch.cancel();
  }

  async #answer(position: At, watch: RawWatch, inbox: Inbox<Event>): Promise<void> {
    const pauseMs = this.#chance.oneIn(3) ? between(this.#chance, 0, this.#chance.oneIn(20) ? 1_000 : 20) : 0;
    if (pauseMs > 0) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      // Streams end, but nothing comes before this one was received.
      if (inbox.some(({ kind }) => kind === "part")) throw new Error(`${this.#who}: pushed another update`);
    }
    if (this.#chance.oneIn(12)) this.#change(watch);
    else watch.received(position);
  }

  /** Follows something else from now on; sometimes it holds that already. */
  #change(watch: RawWatch): void {
    const narrower = this.#folded.position && this.#chance.oneIn(2);
    this.#services = narrower ? someOf(this.#chance, this.#namesInScope()) : this.#anyScope();
    this.#storm.count("subscription changes");
    this.#subscribe(watch, narrower ? this.#folded.position : undefined);
  }

  #subscribe(watch: RawWatch, after: At | undefined): void {
    this.#parts = [];
    this.#folded.subscribed(this.#services, after);
    this.#oracle.subscribed(this.#services, after);
    watch.subscribe(++this.#subscription, this.#services, after);
  }

  /** Mostly from where it was. */
  #resumes(): At | undefined {
    const forgets = this.#chance.oneIn(15) && !this.#storm.putBack;
    const after = forgets ? undefined : this.#folded.position;
    if (after) this.#storm.count("streams resumed");
    return after;
  }

  #anyScope(): readonly string[] {
    return this.#chance.oneIn(3) ? [] : someOf(this.#chance, this.#storm.followed);
  }

  #namesInScope(): readonly string[] {
    return this.#services.length > 0 ? this.#services : this.#storm.followed;
  }

  #count({ complete, set, deleted }: Update): void {
    this.#storm.count("updates");
    if (complete) this.#storm.count("complete updates");
    else if (set.length + deleted.length === 0) this.#storm.count("bookmarks");
  }

  #done(): boolean {
    const { final } = this.#storm;
    if (!final) return false;
    this.#oracle.check();
    return this.#parts.length === 0 && this.#oracle.holds(final);
  }
}
