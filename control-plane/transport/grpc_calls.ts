/** What the gRPC services share: how a call is answered, refused and ended. */
import type * as grpc from "@grpc/grpc-js";
import { isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import type { Log } from "../../proto/log.ts";
import { Undecodable } from "../../proto/grpc.ts";
import { keepPlace } from "./grpc_place.ts";
import type { Ports } from "./ports.ts";
import { grpcStatus, INTERNAL } from "./status.ts";

type Answer = object | Refusal;

interface Call {
  readonly cancelled: boolean;
  on(event: "cancelled", f: () => void): unknown;
}

/** Answers a unary call with a message or a refusal. */
export function unary<Request>(
  { log }: Pick<Ports, "log">,
  answer: (request: Request, signal: AbortSignal) => Answer | Promise<Answer>,
) {
  return async (call: grpc.ServerUnaryCall<Request | Undecodable, object>, callback: grpc.sendUnaryData<object>) => {
    const { request } = call;
    using _place = keepPlace(call);
    try {
      const value = request instanceof Undecodable
        ? refuse("invalid", request.description)
        : await answer(request, cancelled(call));
      if (isRefusal(value)) callback(grpcStatus(value));
      else callback(null, value);
    } catch (error) {
      // Nobody hears the answer to a call that its client gave up.
      if (!call.cancelled) callback(internal(log, error));
    }
  };
}

/** Answers with a stream of messages, or a refusal, which may come late; goes on when what was written has left. */
export function streaming<Request, Message extends object>(
  { log }: Pick<Ports, "log">,
  answer: (
    request: Request,
    signal: AbortSignal,
    peer: string,
  ) => Promise<Iterable<Message> | AsyncIterable<Message | Refusal> | Refusal>,
) {
  return async (call: grpc.ServerWritableStream<Request | Undecodable, Message>) => {
    const { request } = call;
    const signal = cancelled(call);
    try {
      const messages = request instanceof Undecodable
        ? refuse("invalid", request.description)
        : await answer(request, signal, peerOf(call));
      if (isRefusal(messages)) return void call.emit("error", grpcStatus(messages));
      for await (const message of messages) {
        if (isRefusal(message)) return void call.emit("error", grpcStatus(message));
        if (!call.write(message) && !signal.aborted) await drained(call, signal);
        if (signal.aborted) return;
      }
      call.end();
    } catch (error) {
      if (!call.cancelled) call.emit("error", internal(log, error));
    }
  };
}

/** Who asks, as far as it is known: the address at the other end. */
export function peerOf(call: { getPeer(): string }): string {
  return call.getPeer().replace(/:[0-9]+$/, "");
}

/** Aborts when the call is over, answered or given up. */
export function cancelled(call: Pick<Call, "cancelled" | "on">): AbortSignal {
  const controller = new AbortController();
  if (call.cancelled) controller.abort();
  call.on("cancelled", () => controller.abort());
  return controller.signal;
}

/** What a bug looks like from outside. */
export function internal(log: Log, error: unknown): grpc.StatusObject {
  log.error("Cannot answer a gRPC call", { error, stack: (error as Error).stack });
  return grpcStatus(INTERNAL);
}

function drained(call: grpc.ServerWritableStream<unknown, unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    call.once("drain", resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
