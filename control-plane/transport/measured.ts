/** Requests as telemetry hears of them, whatever answers them. */
import type { DescService } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import type { Telemetry } from "../app/telemetry.ts";
import { VERB } from "./http_common.ts";

/** The same handlers, whose calls are counted and traced. */
export function measuredGrpc(
  telemetry: Telemetry,
  { typeName, methods }: DescService,
  handlers: grpc.UntypedServiceImplementation,
): grpc.UntypedServiceImplementation {
  const measured = methods.flatMap(({ name, localName, methodKind }) => {
    const handler = handlers[localName];
    if (!handler) return [];
    const begin = (call: Call) => beginCall(telemetry, `${typeName}/${name}`, call);
    // What answers with one message is told how to; a stream says itself how it ends.
    const callsBack = methodKind === "unary" || methodKind === "client_streaming";
    return [[localName, callsBack ? answering(begin, handler as Unary) : streaming(begin, handler as Streaming)]];
  });
  return Object.fromEntries(measured);
}

/** Counts and traces the requests of an application: to be used before all else. */
export function measuredHttp(telemetry: Telemetry): MiddlewareHandler {
  return async (context, next) => {
    const { method, raw } = context.req;
    const request = telemetry.begin("http", METHODS.has(method) ? method : "_OTHER", {
      header: (name) => raw.headers.get(name) ?? undefined,
      url: () => raw.url,
    });
    await request.within(next);
    // Known only now: which of the routes that match has answered, if any.
    const route = routePath(context);
    request.answered(String(context.res.status), route === EVERY_PATH ? undefined : route.replace(VERB, ":"));
  };
}

/** That of what is done for every request. */
const EVERY_PATH = "/*";

// Clients may make up others: those count as one.
const METHODS: ReadonlySet<string> = new Set([
  ...["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"],
]);

type Call = Pick<grpc.ServerUnaryCall<unknown, unknown>, "metadata" | "once">;
type Unary = grpc.handleUnaryCall<unknown, unknown>;
type Streaming = grpc.handleServerStreamingCall<unknown, unknown>;
type Begin = (call: Call) => ReturnType<typeof beginCall>;

function answering(begin: Begin, handler: Unary): Unary {
  return (call, callback) => {
    const { within, ended } = begin(call);
    within(() =>
      handler(call, (error, value, trailer, flags) => {
        ended(error);
        callback(error, value, trailer, flags);
      })
    );
  };
}

function streaming(begin: Begin, handler: Streaming): Streaming {
  return (call) => {
    const { within, ended } = begin(call);
    call.once("error", ended);
    call.once("finish", () => ended(null));
    within(() => handler(call));
  };
}

function beginCall(telemetry: Telemetry, method: string, call: Call) {
  const request = telemetry.begin("grpc", method, { header: (name) => call.metadata.get(name)[0]?.toString() });
  let open = true;
  const ended = (error: { readonly code?: grpc.status | null } | null) => {
    if (!open) return;
    open = false;
    request.answered(grpc.status[error ? error.code ?? grpc.status.UNKNOWN : grpc.status.OK]);
  };
  // Said of every call whose stream is over, answered or not.
  call.once("cancelled", () => ended({ code: grpc.status.CANCELLED }));
  return { within: request.within, ended };
}
