/** A control plane for tests that must make one fail on purpose: real gRPC, answers as the test says. */
import { create, type DescService, type MessageInitShape } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import {
  DiscoveryService,
  GetMapResponseSchema,
  type PartSchema,
  type WatchRequest,
  WatchResponseSchema,
} from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { RegistryService, type RenewRequest, RenewResponseSchema } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { serviceDefinition } from "../../proto/grpc.ts";
import { Inbox } from "../../proto/testing/inbox.ts";

/** One stream of a client's, as a test plays its other end. */
interface Talk<Request> {
  readonly heard: AsyncIterator<Request>;
  /** Ends the stream with a code; without one, in good order. */
  close(code?: grpc.status, details?: string): void;
}

/** What a test says to one follower, and hears of it. */
export interface Session extends Talk<NonNullable<WatchRequest["message"]>> {
  /** Sends one part as the answer to a subscription. */
  send(subscription: number, part: PartInit): void;
}

/** What a test says to one registrar, and hears of its leases. */
export interface Renewals extends Talk<RenewRequest> {
  send(leaseId: string, alive: boolean, epoch?: bigint): void;
}

/** The registry's answer: a revision, or a code and a sentence. */
type Answer = (request: never) => Answered | Promise<Answered>;
type Answered = { revision: bigint; leaseId?: string } | Partial<grpc.StatusObject>;
type PartInit = MessageInitShape<typeof PartSchema>;

export interface Script {
  readonly watch?: (session: Session) => Promise<void> | void;
  readonly renew?: (renewals: Renewals) => Promise<void> | void;
  readonly getMap?: (request: unknown) => readonly PartInit[];
  readonly register?: Answer;
  readonly deregister?: Answer;
  readonly setEnabled?: Answer;
  readonly drain?: Answer;
  readonly putAlias?: Answer;
}

export interface FakeControlPlane extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
}

/** Serves until disposed, by force: streams that are open break. `port` 0 lets the system choose. */
export async function serveFake(script: Script, port = 0): Promise<FakeControlPlane> {
  const server = new grpc.Server();
  server.addService(serviceDefinition(DiscoveryService), {
    watch: (call: Stream<WatchRequest>) => {
      const send: Session["send"] = (subscription, part) =>
        void call.write(create(WatchResponseSchema, { subscription, part }));
      void script.watch?.({ ...talk(call, ({ message }) => message), send });
    },
    getMap: (call: grpc.ServerWritableStream<unknown, unknown>) => {
      for (const part of script.getMap?.(call.request) ?? []) call.write(create(GetMapResponseSchema, { part }));
      call.end();
    },
  });
  server.addService(serviceDefinition(RegistryService), {
    ...unaries(RegistryService, script),
    renew: (call: Stream<RenewRequest>) => {
      const send: Renewals["send"] = (leaseId, alive, epoch = 1n) =>
        void call.write(create(RenewResponseSchema, { leaseId, alive, epoch }));
      void script.renew?.({ ...talk(call, (request) => request), send });
    },
  });
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      `127.0.0.1:${port}`,
      grpc.ServerCredentials.createInsecure(),
      (error, port) => error ? reject(error) : resolve(port),
    )
  );
  return {
    address: `127.0.0.1:${bound}`,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
      await Promise.resolve();
    },
  };
}

type Stream<Request> = grpc.ServerDuplexStream<Request, unknown>;

function unaries(service: DescService, script: Script): grpc.UntypedServiceImplementation {
  const handlers = service.methods.map(({ localName, output }) => {
    const handle: grpc.handleUnaryCall<unknown, unknown> = async ({ request }, callback) => {
      const answer = await script[localName as "register"]?.(request as never) ?? { code: grpc.status.UNIMPLEMENTED };
      if ("revision" in answer) callback(null, create(output, answer));
      else callback(answer);
    };
    return [localName, handle] as const;
  });
  return Object.fromEntries(handlers);
}

function talk<Request, Heard>(call: Stream<Request>, hear: (request: Request) => Heard): Talk<Heard> {
  call.on("error", () => {});
  return {
    heard: requests(call, hear),
    close: (code, details = "") =>
      code === undefined ? call.end() : void call.emit("error", { code, details } as grpc.StatusObject),
  };
}

async function* requests<Request, Heard>(call: Stream<Request>, hear: (request: Request) => Heard) {
  const inbox = new Inbox<Heard | typeof OVER>();
  call.on("data", (request: Request) => inbox.put(hear(request)));
  for (const event of ["end", "close", "cancelled"]) call.on(event, () => inbox.put(OVER));
  for (;;) {
    const next = await inbox.next();
    if (next === OVER) return;
    yield next;
  }
}

const OVER = Symbol("over");
