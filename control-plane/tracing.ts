/** Requests and commits as spans, named by the semantic conventions of OpenTelemetry 1.45. */
import type { Attributes, Span, TextMapGetter, Tracer } from "@opentelemetry/api";
import type { Incoming, Protocol, Request } from "./app/telemetry.ts";
import type { Commit } from "./store/store.ts";

type Api = typeof import("@opentelemetry/api");

/** Makes spans with a library that is loaded only when somebody wants them. */
export class Tracing {
  constructor(private readonly api: Api, private readonly tracer: Tracer) {}

  /** A request's span, in the trace that it came with. */
  begin(protocol: Protocol, name: string, from: Incoming): Request {
    const { propagation, trace, ROOT_CONTEXT, SpanKind } = this.api;
    const caller = propagation.extract(ROOT_CONTEXT, from, HEADERS);
    const attributes = protocol === "grpc" ? { "rpc.system.name": "grpc", "rpc.method": name } : httpOf(name, from);
    const span = this.tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, caller);
    const own = trace.setSpan(caller, span);
    return {
      within: (work) => this.api.context.with(own, work),
      answered: (code, route) => {
        if (protocol === "grpc") span.setAttribute("rpc.status_code", code);
        else span.setAttribute("http.response.status_code", Number(code));
        if (route !== undefined) span.setAttribute("http.route", route).updateName(`${name} ${route}`);
        if (protocol === "grpc" ? GRPC_FAULTS.has(code) : code >= "500") this.#fail(span, code);
        span.end();
      },
    };
  }

  /** A commit's span, within that of the request on whose behalf it is made. */
  async commit(run: () => Promise<Commit>): Promise<Commit> {
    const span = this.tracer.startSpan("commit", {}, this.api.context.active());
    try {
      const commit = await run();
      span.setAttribute("portolan.outcome", commit.kind);
      if (commit.kind === "refused" || commit.kind === "unknown") this.#fail(span, commit.kind, commit.reason);
      return commit;
    } catch (error) {
      this.#fail(span, (error as Error).name, (error as Error).message);
      throw error;
    } finally {
      span.end();
    }
  }

  #fail(span: Span, type: string, message?: string): void {
    const { SpanStatusCode } = this.api;
    span.setAttribute("error.type", type);
    span.setStatus({ code: SpanStatusCode.ERROR, ...(message !== undefined && { message }) });
  }
}

/** Those that are the server's doing. */
const GRPC_FAULTS: ReadonlySet<string> = new Set([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

const HEADERS: TextMapGetter<Incoming> = { get: ({ header }, name) => header(name), keys: () => [] };

function httpOf(method: string, { url }: Incoming): Attributes {
  const { protocol, pathname } = new URL(url?.() ?? "http://localhost/");
  return { "http.request.method": method, "url.scheme": protocol.slice(0, -1), "url.path": pathname };
}
