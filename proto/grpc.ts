/**
 * protobuf-es services on grpc-js: definitions for servers, typed clients for everybody else.
 * Nothing here knows a particular service.
 */
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";

/** What a server's handler gets in place of a request whose bytes are no such message. */
export class Undecodable {
  constructor(readonly description: string) {}
}

/** A response's bytes, encoded already: one encoding can be handed to many calls. */
export type Encoded = Buffer;

/** grpc-js's form of a service. A handler may answer with what `create` takes or with {@link Encoded} bytes. */
export function serviceDefinition(service: DescService): grpc.ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, methodDefinition(method)]));
}

function methodDefinition(method: DescMethod): grpc.MethodDefinition<unknown, unknown> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: (value) => encode(method.input, value as MessageShape<DescMessage>),
    requestDeserialize: (bytes) => decode(method.input, bytes),
    responseSerialize: (value) =>
      Buffer.isBuffer(value) ? value : encode(method.output, create(method.output, value as never)),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
  };
}

/** A message's bytes in the form that grpc-js wants: it fails on a bare `Uint8Array`. */
export function encode<M extends DescMessage>(schema: M, message: MessageShape<M>): Encoded {
  const bytes = toBinary(schema, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

// A deserializer that throws would be answered with INTERNAL: the handler says what is wrong instead.
function decode<M extends DescMessage>(schema: M, bytes: Uint8Array): MessageShape<M> | Undecodable {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    return new Undecodable(`the bytes are no ${schema.typeName}: ${(error as Error).message}`);
  }
}

type Method = { methodKind: string; input: DescMessage; output: DescMessage };

/** How long a call may take and who may end it. */
export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Both ends of a streaming call, the request's one typed as what `create` takes. */
export type Duplex<M extends Method> = grpc.ClientDuplexStream<MessageInitShape<M["input"]>, MessageShape<M["output"]>>;

/** A call that takes many requests and answers once, when its stream was ended. */
interface Upload<M extends Method> {
  readonly stream: grpc.ClientWritableStream<MessageInitShape<M["input"]>>;
  readonly response: Promise<MessageShape<M["output"]>>;
}

type ClientMethod<M extends Method> = M["methodKind"] extends "unary"
  ? (request: MessageInitShape<M["input"]>, options?: CallOptions) => Promise<MessageShape<M["output"]>>
  : M["methodKind"] extends "server_streaming" ? (
      request: MessageInitShape<M["input"]>,
      options?: CallOptions,
    ) => grpc.ClientReadableStream<MessageShape<M["output"]>>
  : M["methodKind"] extends "client_streaming" ? (options?: CallOptions) => Upload<M>
  : () => Duplex<M>;

/** One function per method; failures are grpc-js's `ServiceError`. */
export type Client<S extends DescService> =
  & { readonly [N in keyof S["method"]]: S["method"][N] extends Method ? ClientMethod<S["method"][N]> : never }
  & { close(): void };

/**
 * A client of one service at `address` (`host:port`).
 * Unary-only channels close when idle: a graceful GOAWAY on an idle connection can end a whole Deno process.
 * No retries of grpc-js's own: on a connection that ended with its first bytes they would go on for ever, without a turn
 * for anything else of the process.
 */
export function createClient<S extends DescService>(service: S, address: string, options: grpc.ClientOptions = {}) {
  const raw = new grpc.Client(address, grpc.credentials.createInsecure(), {
    "grpc.client_idle_timeout_ms": 1000,
    "grpc.enable_retries": 0,
    ...options,
  });
  const methods = service.methods.map((method) => [method.localName, clientMethod(raw, method)]);
  return { ...Object.fromEntries(methods), close: () => raw.close() } as Client<S>;
}

function clientMethod(raw: grpc.Client, method: DescMethod): unknown {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  const serialize = (init: unknown) => requestSerialize(create(method.input, init as MessageInitShape<DescMessage>));
  if (method.methodKind === "unary") {
    return (request: unknown, options: CallOptions = {}) =>
      new Promise((resolve, reject) => {
        const answer = (error: grpc.ServiceError | null, response: unknown) => {
          release();
          error ? reject(error) : resolve(response);
        };
        const metadata = new grpc.Metadata();
        const call = raw.makeUnaryRequest(
          path,
          serialize,
          responseDeserialize,
          request,
          metadata,
          deadline(options),
          answer,
        );
        const release = cancelOn(options.signal, call);
      });
  }
  if (method.methodKind === "server_streaming") {
    return (request: unknown, options: CallOptions = {}) => {
      const call = raw.makeServerStreamRequest(path, serialize, responseDeserialize, request, deadline(options));
      call.once("close", cancelOn(options.signal, call));
      return call;
    };
  }
  if (method.methodKind === "client_streaming") {
    return (options: CallOptions = {}) => {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      const stream = raw.makeClientStreamRequest(
        path,
        serialize,
        responseDeserialize,
        new grpc.Metadata(),
        deadline(options),
        (error, response) => error ? reject(error) : resolve(response),
      );
      return { stream, response: promise.finally(cancelOn(options.signal, stream)) };
    };
  }
  if (method.methodKind === "bidi_streaming") {
    return () => raw.makeBidiStreamRequest(path, serialize, responseDeserialize);
  }
  throw new Error(`Cannot call ${method.name}: no service of ours has methods of kind ${method.methodKind}`);
}

function deadline({ timeoutMs }: CallOptions): grpc.CallOptions {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
}

/** Cancels the call with the signal; the function that it returns lets the signal go. */
function cancelOn(signal: AbortSignal | undefined, call: { cancel(): void }): () => void {
  const cancel = () => call.cancel();
  if (signal?.aborted) cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  return () => signal?.removeEventListener("abort", cancel);
}
