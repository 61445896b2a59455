/** What the control plane measures: every metric of it, with its name and what it says. */
import type { Readings, Request, Watch } from "./app/telemetry.ts";
import type { ClusterMap, RealmMap } from "./domain/cluster_map.ts";
import type { Realm, Revision } from "./domain/names.ts";
import type { RefusalCode } from "./domain/refusal.ts";
import type { Update } from "./domain/update.ts";
import type { Commit } from "./store/store.ts";
import { type Histogram, Metrics, type Sample } from "../proto/metrics.ts";
import { addProcessGauges } from "../proto/process_gauges.ts";

/** How often the event loop is asked how late it is, in ms. */
const LAG_MS = 500;

export class Measures implements Disposable {
  readonly metrics = new Metrics();
  readonly #grpc = this.metrics.counter("portolan_grpc_requests_total", "gRPC calls that ended", ["method", "code"]);
  readonly #http = this.metrics.counter(
    "portolan_http_requests_total",
    "HTTP requests that were answered",
    ["method", "route", "code"],
  );
  readonly #refused = this.metrics.counter(
    "portolan_refused_changes_total",
    "Changes of the map that were refused",
    ["operation", "code"],
  );
  readonly #commits = this.metrics.counter("portolan_commits_total", "Commits that the store answered", ["outcome"]);
  readonly #commit = this.metrics.histogram(
    "portolan_commit_duration_seconds",
    "From asking the store to commit until its answer",
  );
  readonly #fanOut = this.metrics.histogram(
    "portolan_fanout_duration_seconds",
    "From a commit's arrival in the map until a watcher's update with it is in its stream",
  );
  readonly #propagation = this.metrics.histogram(
    "portolan_propagation_duration_seconds",
    "From a commit's arrival in the map until a connected follower has said that it routes by it",
  );
  readonly #lag: Disposable;
  readonly #requests = new Map<string, Request>();
  #readings: Readings | undefined;
  #movedAt = 0;

  constructor() {
    addMapGauges(this.metrics, () => this.#readings);
    addProcessGauges(this.metrics);
    this.#lag = measureLag(this.metrics.histogram("portolan_event_loop_lag_seconds", "How late a timer was"));
  }

  /** What is looked up from now on. */
  reads(readings: Readings): void {
    this.#readings = readings;
  }

  grpcRequest(method: string): Request {
    return this.#request(method, (code) => this.#grpc.add(method, code));
  }

  httpRequest(method: string): Request {
    return this.#request(method, (code, route = "") => this.#http.add(method, route, code));
  }

  refused(operation: string, code: RefusalCode): void {
    this.#refused.add(operation, code);
  }

  async commit(run: () => Promise<Commit>): Promise<Commit> {
    const begun = performance.now();
    const commit = await run();
    this.#commit.observe(performance.now() - begun);
    this.#commits.add(commit.kind);
    return commit;
  }

  moved(): void {
    this.#movedAt = performance.now();
  }

  watch(): Watch {
    return new MeasuredWatch(() => this.#movedAt, this.#fanOut, this.#propagation);
  }

  [Symbol.dispose](): void {
    this.#lag[Symbol.dispose]();
  }

  /** One for all requests of a method: nothing is made for one that is only counted. */
  #request(method: string, answered: Request["answered"]): Request {
    const known = this.#requests.get(method);
    if (known) return known;
    const request: Request = { within: (work) => work(), answered };
    this.#requests.set(method, request);
    return request;
  }
}

/** What a watcher gets of commits that arrive while it is there: what it catches up with says nothing of us. */
class MeasuredWatch implements Watch {
  readonly #begun = performance.now();
  /** The first update that the follower has not applied, and when its commit arrived. */
  #delivered: { readonly revision: Revision; readonly movedAt: number } | undefined;

  constructor(
    private readonly movedAt: () => number,
    private readonly fanOut: Histogram,
    private readonly propagation: Histogram,
  ) {}

  delivered({ complete, set, deleted, position }: Update): void {
    const movedAt = this.movedAt();
    if (complete || set.length + deleted.length === 0 || movedAt < this.#begun) return;
    this.fanOut.observe(performance.now() - movedAt);
    this.#delivered ??= { revision: position.revision, movedAt };
  }

  applied(revision: Revision): void {
    if (!this.#delivered || revision < this.#delivered.revision) return;
    this.propagation.observe(performance.now() - this.#delivered.movedAt);
    this.#delivered = undefined;
  }
}

function addMapGauges(metrics: Metrics, readings: () => Readings | undefined): void {
  const one = (read: (readings: Readings) => number) => () => {
    const known = readings();
    return known ? read(known) : [];
  };
  metrics.gauge("portolan_watchers", "Watches that stand", one(({ watchers }) => watchers()));
  metrics.gauge("portolan_owed_names", "Names that watchers are owed, all together", one(({ owed }) => owed()));
  metrics.gauge("portolan_leases", "Leases that hold instances", one(({ leases }) => leases()));
  let sizes: { readonly map: ClusterMap; readonly of: readonly (readonly [Realm, Size])[] } | undefined;
  const perRealm = (of: keyof Size) => (): readonly Sample[] => {
    const map = readings()?.map();
    if (!map) return [];
    // Counted once for all of them, and again only when the map has moved.
    if (sizes?.map !== map) sizes = { map, of: [...map.realms].map(([name, realm]) => [name, sizeOf(realm)]) };
    return sizes.of.map(([realm, size]) => ({ labels: { realm }, value: size[of] }));
  };
  metrics.gauge("portolan_services", "Services in the map", perRealm("services"));
  metrics.gauge("portolan_instances", "Instances in the map", perRealm("instances"));
  metrics.gauge(
    "portolan_held_instances",
    "Instances that the brake keeps although their leases ran out",
    perRealm("held"),
  );
}

interface Size {
  readonly services: number;
  readonly instances: number;
  readonly held: number;
}

function sizeOf({ services }: RealmMap): Size {
  let [instances, held] = [0, 0];
  for (const [, service] of services) {
    instances += service.instances.length;
    for (const instance of service.instances) if (instance.held) held++;
  }
  return { services: services.size, instances, held };
}

function measureLag(lag: Histogram): Disposable {
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    lag.observe(Math.max(0, now - last - LAG_MS));
    last = now;
  }, LAG_MS);
  Deno.unrefTimer(timer);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
