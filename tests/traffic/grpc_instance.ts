/** An instance that speaks gRPC: a small service of plain texts. */
import * as grpc from "@grpc/grpc-js";
import { answerText, LAST_LINE, TICK, TICK_MS, ticks } from "./answer.ts";
import type { Arrive, Instance, InstanceSpec } from "./instance.ts";

export const GRPC_SERVICE = {
  /** Answers who it is. */
  ask: method("/traffic.Traffic/Ask", false),
  /** Answers who it is, goes on for as many ms as the request says, and ends with a last line. */
  stream: method("/traffic.Traffic/Stream", true),
} satisfies grpc.ServiceDefinition;

export async function startGrpcInstance(spec: InstanceSpec, arrive: Arrive): Promise<Instance> {
  const answer = (call: Pick<grpc.ServerUnaryCall<string, string>, "metadata" | "getPeer">) => {
    const [request] = call.metadata.get("x-request");
    return answerText(spec, arrive(request?.toString(), Number(call.getPeer().split(":").at(-1))));
  };
  const server = new grpc.Server();
  server.addService(GRPC_SERVICE, {
    ask: (call: grpc.ServerUnaryCall<string, string>, done: grpc.sendUnaryData<string>) => done(null, answer(call)),
    stream: (call: grpc.ServerWritableStream<string, string>) => {
      call.write(answer(call));
      let left = ticks(Number(call.request));
      const timer = setInterval(() => {
        if (left-- > 0) return void call.write(TICK);
        clearInterval(timer);
        call.write(LAST_LINE);
        call.end();
      }, TICK_MS);
      call.on("cancelled", () => clearInterval(timer));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync("127.0.0.1:0", credentials, (error, port) => error ? reject(error) : resolve(port));
  });
  return {
    port,
    async stop(gently) {
      if (gently) await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      server.forceShutdown();
    },
  };
}

function method(path: string, responseStream: boolean): grpc.MethodDefinition<string, string> {
  const [write, read] = [(text: string) => Buffer.from(text), (bytes: Buffer) => bytes.toString()];
  return {
    path,
    requestStream: false,
    responseStream,
    requestSerialize: write,
    requestDeserialize: read,
    responseSerialize: write,
    responseDeserialize: read,
  };
}
