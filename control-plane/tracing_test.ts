import assert from "node:assert/strict";
import * as api from "@opentelemetry/api";
import { NodeSDK } from "@opentelemetry/sdk-node";
import type { Revision } from "./domain/names.ts";
import type { Commit } from "./store/store.ts";
import { Tracing } from "./tracing.ts";

const NOTHING = { header: () => undefined };

Deno.test("a request is a span in the trace that it came with, or the first of a new one", async () => {
  await using recorded = record();
  const { tracing, spans } = recorded;
  const header = (name: string) => name === "traceparent" ? `00-${"a".repeat(32)}-${"b".repeat(16)}-01` : undefined;
  tracing.begin("grpc", "portolan.v1.RegistryService/Register", { header }).answered("OK");
  tracing.begin("http", "GET", { header: () => "nonsense", url: () => "https://a:1/x%20y?z" }).answered("404");
  const [rpc, http] = spans();
  assert.equal(rpc?.spanContext().traceId, "a".repeat(32));
  assert.equal(rpc?.parentSpanContext?.spanId, "b".repeat(16));
  assert.equal(http?.parentSpanContext, undefined);
  assert.equal(http?.name, "GET");
  assert.deepEqual(http?.attributes, {
    "http.request.method": "GET",
    "http.response.status_code": 404,
    "url.path": "/x%20y",
    "url.scheme": "https",
  });
});

Deno.test("a span says that it failed where the control plane did, not its caller", async () => {
  await using recorded = record();
  const { tracing, spans } = recorded;
  for (const code of ["OK", "NOT_FOUND", "CANCELLED", "UNAVAILABLE"]) {
    tracing.begin("grpc", "m", NOTHING).answered(code);
  }
  for (const code of ["200", "404", "503"]) tracing.begin("http", "GET", NOTHING).answered(code, "/x");
  const failed = spans().map(({ name, attributes, status }) => [
    ...[name, attributes["rpc.status_code"] ?? attributes["http.response.status_code"]],
    ...[status.code === api.SpanStatusCode.ERROR, attributes["error.type"]],
  ]);
  assert.deepEqual(failed, [
    ["m", "OK", false, undefined],
    ["m", "NOT_FOUND", false, undefined],
    ["m", "CANCELLED", false, undefined],
    ["m", "UNAVAILABLE", true, "UNAVAILABLE"],
    ["GET /x", 200, false, undefined],
    ["GET /x", 404, false, undefined],
    ["GET /x", 503, true, "503"],
  ]);
});

Deno.test("a commit is a span within its request's, also where others are under way; it says how it ended", async () => {
  await using recorded = record();
  const { tracing, spans } = recorded;
  const commits: Commit[] = [
    { kind: "committed", revision: 1n as Revision },
    { kind: "conflict" },
    { kind: "refused", reason: "the disk is full" },
    { kind: "unknown", reason: "no answer" },
  ];
  await Promise.all(commits.map(async (commit) => {
    const request = tracing.begin("grpc", commit.kind, NOTHING);
    await request.within(async () => {
      await Promise.resolve();
      assert.equal(await tracing.commit(() => Promise.resolve(commit)), commit);
    });
    request.answered("OK");
  }));
  await assert.rejects(tracing.commit(() => Promise.reject(new TypeError("a bug"))), /a bug/);
  const all = spans();
  const found = all.filter(({ name }) => name === "commit").map(({ parentSpanContext, attributes, status }) => ({
    parent: all.find((span) => span.spanContext().spanId === parentSpanContext?.spanId)?.name,
    outcome: attributes["portolan.outcome"],
    error: attributes["error.type"],
    message: status.message,
  }));
  assert.deepEqual(found, [
    { parent: "committed", outcome: "committed", error: undefined, message: undefined },
    { parent: "conflict", outcome: "conflict", error: undefined, message: undefined },
    { parent: "refused", outcome: "refused", error: "refused", message: "the disk is full" },
    { parent: "unknown", outcome: "unknown", error: "unknown", message: "no answer" },
    { parent: undefined, outcome: undefined, error: "TypeError", message: "a bug" },
  ]);
});

/** The real SDK, whose spans stay here. */
function record() {
  const ended: Ended[] = [];
  const none = () => Promise.resolve();
  const spanProcessors = [{
    onStart() {},
    onEnd: (span: Ended) => void ended.push(span),
    forceFlush: none,
    shutdown: none,
  }];
  const sdk = new NodeSDK({ spanProcessors, metricReaders: [], logRecordProcessors: [], autoDetectResources: false });
  sdk.start();
  return {
    tracing: new Tracing(api, api.trace.getTracer("test")),
    spans: () => ended,
    async [Symbol.asyncDispose]() {
      await sdk.shutdown();
      for (const one of [api.trace, api.context, api.propagation, api.metrics, api.logs]) one.disable();
    },
  };
}

/** What the SDK hands on of a span that has ended. */
type Processors = NonNullable<NonNullable<ConstructorParameters<typeof NodeSDK>[0]>["spanProcessors"]>;
type Ended = Parameters<Processors[number]["onEnd"]>[0];
