/** What the sidecar measures: every metric of it, with its name and what it says. */
import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Metrics } from "../../proto/metrics.ts";
import { addProcessGauges } from "../../proto/process_gauges.ts";
import type { Snapshot } from "../../sdk-ts/follow.ts";
import { type Ended, errorOf } from "../access/ended.ts";
import type { Target } from "../access/target.ts";
import { NO_INSTANCES } from "../routing/plan.ts";
import type { AdminSources } from "./sources.ts";
import { mapAgeMs, oldWorkersOf } from "./state.ts";

/** Counts what ends as it is heard, so that no reload of HAProxy begins it anew; all else is looked up on demand. */
export class Measures {
  readonly #metrics = new Metrics();
  readonly #sources: AdminSources;
  readonly #requests = this.#metrics.counter(
    "portolan_sidecar_requests_total",
    "Requests that ended, by the class of their status or the sidecar's own error; no service: none that there is",
    ["service", "version", "outcome"],
  );
  readonly #connections = this.#metrics.counter(
    "portolan_sidecar_connections_total",
    "Connections to ports of services that ended",
    ["service", "version", "outcome"],
  );
  readonly #response = this.#metrics.histogram(
    "portolan_sidecar_response_duration_seconds",
    "From a request until the headers of an instance's answer",
    ["service", "version"],
  );
  readonly #reloads = this.#metrics.counter(
    "portolan_sidecar_reloads_total",
    "Reloads of HAProxy, under each kind of reason that one had",
    ["reason"],
  );
  /** Versions that are counted, by service: none but what is on the map. */
  readonly #counted = new Map<string, Set<string>>();
  #services: Snapshot["services"] = new Map();
  #reloadsSeen = 0;
  #oldWorkers = 0;

  constructor(sources: AdminSources) {
    this.#sources = sources;
    addMapGauges(this.#metrics, sources);
    addHaproxyGauges(this.#metrics, sources, () => this.#oldWorkers);
    addCounts(this.#metrics, sources);
    addProcessGauges(this.#metrics);
  }

  /** A map is applied: what is not on it any more is forgotten. */
  applied({ services, changed }: Pick<Snapshot, "services" | "changed">): void {
    this.#services = services;
    for (const name of changed) this.#prune(name, services.get(name));
    this.#countReloads();
  }

  /** A request or connection has ended. */
  heard(ended: Ended, target: Target | undefined): void {
    const { request } = ended;
    const [service, version] = this.#labels(target);
    if (!request) return this.#connections.add(service, version, connectionOutcome(ended));
    this.#requests.add(service, version, errorOf(ended) ?? CLASSES[Math.floor(request.status / 100)] ?? "aborted");
    if (request.responseMs >= 0) this.#response.observe(request.responseMs, service, version);
  }

  /** Prometheus' text format. */
  async text(): Promise<string> {
    this.#countReloads();
    this.#oldWorkers = (await oldWorkersOf(this.#sources)).length;
    return this.#metrics.text();
  }

  /** Only what is on the map is a label's value; all else is none. */
  #labels(target: Target | undefined): readonly [string, string] {
    if (!target) return NOBODY;
    const { service } = target;
    const version = target.version === undefined ? "" : String(target.version);
    const counted = this.#counted.get(service);
    if (counted?.has(version)) return [service, version];
    const known = this.#services.get(service);
    if (!known) return NOBODY;
    const versions = counted ?? new Set<string>();
    this.#counted.set(service, versions);
    if (!isVersionOf(known, version)) {
      versions.add("");
      return [service, ""];
    }
    versions.add(version);
    return [service, version];
  }

  #prune(name: string, service: Service | undefined): void {
    const versions = this.#counted.get(name);
    if (!versions) return;
    if (!service) {
      this.#counted.delete(name);
      for (const metric of [this.#requests, this.#connections, this.#response]) metric.forget(name);
      return;
    }
    for (const version of versions) {
      if (version === "" || isVersionOf(service, version)) continue;
      versions.delete(version);
      for (const metric of [this.#requests, this.#connections, this.#response]) metric.forget(name, version);
    }
  }

  /** Looked at after each map, so that of the reloads that are remembered none is missed. */
  #countReloads(): void {
    const { count, newest } = this.#sources.reconciler.reloads;
    const fresh = count - this.#reloadsSeen;
    this.#reloadsSeen = count;
    for (const { reasons } of fresh > 0 ? newest.slice(-fresh) : []) {
      for (const kind of new Set(reasons.map(({ kind }) => kind))) this.#reloads.add(kind);
    }
  }
}

const NOBODY = ["", ""] as const;
const CLASSES: Readonly<Record<number, string>> = { 1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx" };

function connectionOutcome({ server, termination }: Ended): string {
  if (server === undefined) return NO_INSTANCES;
  return /^[Ss]C/.test(termination) ? "connect" : "connected";
}

function isVersionOf({ instances }: Service, version: string): boolean {
  return instances.some((instance) => String(instance.version) === version);
}

function addMapGauges(metrics: Metrics, sources: AdminSources): void {
  const { reconciler, following } = sources;
  metrics.gauge(
    "portolan_sidecar_map_age_seconds",
    "Since a control plane last said that this is the map",
    () => some(mapAgeMs(sources), (ms) => ms / 1_000),
  );
  metrics.gauge(
    "portolan_sidecar_applied_revision",
    "Up to where requests are routed by the map",
    () => some(reconciler.applied, ({ revision }) => Number(revision)),
  );
  metrics.gauge("portolan_sidecar_connected", "Whether a control plane answers", () => Number(following.connected));
  metrics.gauge(
    "portolan_sidecar_refused_services",
    "Services that cannot be routed as the map has them",
    () => reconciler.refused.length,
  );
  metrics.gauge(
    "portolan_sidecar_ejected_instances",
    "Instances that are left out for a while, as they do not answer",
    () => sources.ejecting.ejected.length,
  );
}

function addHaproxyGauges(metrics: Metrics, { reconciler, haproxy }: AdminSources, oldWorkers: () => number): void {
  metrics.gauge("portolan_sidecar_haproxy_up", "Whether HAProxy runs", () => haproxy.workerPid === 0 ? 0 : 1);
  metrics.gauge(
    "portolan_sidecar_spare_backends",
    "New services and versions that need no reload of HAProxy",
    () => some(reconciler.running, ({ spares }) => spares.length),
  );
  metrics.gauge("portolan_sidecar_old_workers", "Workers that were replaced and still have connections", oldWorkers);
  metrics.count(
    "portolan_sidecar_long_streams_cut_total",
    "Requests and connections that outlived the worker that had them",
    () => haproxy.longStreamsCut,
  );
}

function addCounts(metrics: Metrics, { accessLog, reconciler: { resolver } }: AdminSources): void {
  metrics.count(
    "portolan_sidecar_access_lines_dropped_total",
    "Lines of the access log that nobody took",
    () => accessLog.dropped,
  );
  metrics.count("portolan_sidecar_lookups_total", "Lookups of host names of the map", () => [
    { labels: { outcome: "answered" }, value: resolver.lookups - resolver.failedLookups },
    { labels: { outcome: "failed" }, value: resolver.failedLookups },
  ]);
}

/** No series where there is nothing to tell. */
function some<T>(value: T | undefined, read: (value: T) => number): number | readonly [] {
  return value === undefined ? [] : read(value);
}
