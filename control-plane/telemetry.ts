/** What the control plane tells of itself: metrics always; spans, and export, when `OTEL_*` asks for them. */
import type { Readings, Request, Telemetry } from "./app/telemetry.ts";
import type { Meter } from "@opentelemetry/api";
import { Measures } from "./measures.ts";
import type { Store } from "./store/store.ts";
import { Tracing } from "./tracing.ts";
import type { Log } from "../proto/log.ts";
import { BOUNDS, type Metrics } from "../proto/metrics.ts";
import { sleep } from "../proto/sleep.ts";
import { VERSION } from "../proto/version.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A program's telemetry. Disposing sends what is not sent yet, for {@link FLUSH_MS} at most. */
export interface RunningTelemetry extends Telemetry, AsyncDisposable {
  /** What is looked up from now on whenever somebody reads the metrics. */
  reads(readings: Readings): void;
  /** The same store, whose commits are measured from now on. */
  measureCommits<S extends Store>(store: S): S;
}

/** Nobody who hears us may hold up our end for longer, in ms. */
const FLUSH_MS = 2_000;

/** Exports as the standard variables of OpenTelemetry in `env`, this process's own, ask for. */
export async function openTelemetry(env: Environment, log: Log): Promise<RunningTelemetry> {
  const measures = new Measures();
  const exporting = asksForExport(env) ? await startExport(env, log, measures.metrics) : undefined;
  const telemetry: RunningTelemetry = {
    begin(protocol, name, from) {
      const counted = protocol === "grpc" ? measures.grpcRequest(name) : measures.httpRequest(name);
      return exporting ? both(counted, exporting.tracing.begin(protocol, name, from)) : counted;
    },
    watch: () => measures.watch(),
    moved: () => measures.moved(),
    refused: (operation, code) => measures.refused(operation, code),
    text: () => measures.metrics.text(),
    reads: (readings) => measures.reads(readings),
    measureCommits(store) {
      const commit = store.commit.bind(store);
      const measured: Store["commit"] = (writes, guards) => measures.commit(() => commit(writes, guards));
      store.commit = exporting
        ? (writes, guards) => exporting.tracing.commit(() => measured(writes, guards))
        : measured;
      return store;
    },
    async [Symbol.asyncDispose]() {
      measures[Symbol.dispose]();
      await exporting?.end();
    },
  };
  return telemetry;
}

/** Whether the standard variables name somebody who is to hear of us. */
export function asksForExport(env: Environment): boolean {
  const said = (name: string) => (env[name] ?? "").trim();
  if (said("OTEL_SDK_DISABLED").toLowerCase() === "true") return false;
  return ["", "TRACES_", "METRICS_", "LOGS_"].some((signal) => said(`OTEL_EXPORTER_OTLP_${signal}ENDPOINT`) !== "") ||
    ["TRACES", "METRICS", "LOGS"].some((signal) => !["", "none"].includes(said(`OTEL_${signal}_EXPORTER`)));
}

interface Export {
  readonly tracing: Tracing;
  end(): Promise<void>;
}

type Api = typeof import("@opentelemetry/api");

/** Starts OpenTelemetry's SDK, of which nothing is loaded otherwise; nothing where it cannot be started. */
async function startExport(env: Environment, log: Log, metrics: Metrics): Promise<Export | undefined> {
  const [{ NodeSDK }, api] = await Promise.all([import("@opentelemetry/sdk-node"), import("@opentelemetry/api")]);
  hear(api, env, log);
  // For this it would bring a logger whose lines are unlike ours.
  Deno.env.delete("OTEL_LOG_LEVEL");
  try {
    const sdk = new NodeSDK(namesItself(env) ? {} : { serviceName: "portolan-control-plane" });
    sdk.start();
    forward(metrics, api.metrics.getMeter("portolan", VERSION));
    return { tracing: new Tracing(api, api.trace.getTracer("portolan", VERSION)), end: () => flush(sdk, log) };
  } catch (error) {
    // What is wrong with it is no reason not to serve.
    log.error("Cannot export telemetry: serving without it", { error });
    return undefined;
  }
}

/** Writes what the SDK says of itself into our log. */
function hear({ diag, DiagLogLevel }: Api, env: Environment, log: Log): void {
  const level = (env["OTEL_LOG_LEVEL"] ?? "").trim().toUpperCase();
  const logLevel = level in DiagLogLevel ? DiagLogLevel[level as keyof typeof DiagLogLevel] : DiagLogLevel.WARN;
  const info = (message: string) => log.info("OpenTelemetry says", { said: plain(message) });
  const warn = (message: string) => log.warn("OpenTelemetry has a problem", { problem: plain(message) });
  diag.setLogger({ error: warn, warn, info, debug: info, verbose: info }, { logLevel, suppressOverrideMessage: true });
}

/** Errors come as JSON with their stack. */
function plain(message: string): string {
  return /"message":"((?:[^"\\]|\\.)*)"/.exec(message)?.[1] ?? message;
}

/** Whether the variables say whose telemetry this is. */
function namesItself(env: Environment): boolean {
  return Boolean(env["OTEL_SERVICE_NAME"]) || /(?:^|,)\s*service\.name\s*=/.test(env["OTEL_RESOURCE_ATTRIBUTES"] ?? "");
}

/** Gives the SDK every metric under its own name: counters and gauges when it asks, histograms as they happen. */
function forward({ instruments }: Metrics, meter: Meter): void {
  for (const one of instruments) {
    const options = { description: one.help };
    if (one.kind === "histogram") {
      const advice = { explicitBucketBoundaries: [...BOUNDS] };
      const histogram = meter.createHistogram(one.name, { ...options, unit: "s", advice });
      one.also = (seconds, labels) => histogram.record(seconds, labels);
      continue;
    }
    const observable = one.kind === "counter"
      ? meter.createObservableCounter(one.name, options)
      : meter.createObservableGauge(one.name, options);
    observable.addCallback((result) => {
      for (const { labels, value } of one.samples()) result.observe(value, labels);
    });
  }
}

async function flush(sdk: { shutdown(): Promise<void> }, log: Log): Promise<void> {
  const flushed = new AbortController();
  const sent = sdk.shutdown().catch((error) => log.warn("Cannot send the last telemetry", { error }));
  await Promise.race([sent, sleep(FLUSH_MS, flushed.signal)]);
  flushed.abort();
}

function both(counted: Request, traced: Request): Request {
  return {
    within: traced.within,
    answered: (code, route) => {
      counted.answered(code, route);
      traced.answered(code, route);
    },
  };
}
