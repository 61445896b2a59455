/** A gRPC service of plain bytes: what grpc-js costs without a contract, without a map, without any rule. */
import * as grpc from "@grpc/grpc-js";

const bytes = (value: Buffer) => value;
const CODEC = { requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes };

function method(path: string, stream: boolean): grpc.MethodDefinition<Buffer, Buffer> {
  return { path, requestStream: stream, responseStream: stream, ...CODEC, responseDeserialize: bytes };
}

export const BARE_SERVICE = {
  /** Every message comes back. */
  echo: method("/bare/echo", true),
  /** Hears of every write, on the stream that it opens with a message. */
  watch: method("/bare/watch", true),
  /** Sends as many bytes as the first message says, and ends. */
  bulk: method("/bare/bulk", true),
  /** Writes, and is answered when it is on the disk and said to the watchers. */
  write: method("/bare/write", false),
} satisfies grpc.ServiceDefinition;

export class BareClient implements Disposable {
  readonly #client: grpc.Client;

  /** On a connection of its own. */
  constructor(address: string) {
    const options = { "grpc.use_local_subchannel_pool": 1 };
    this.#client = new grpc.Client(address, grpc.credentials.createInsecure(), options);
  }

  /** Calls `onMessage` for each message; its first one says that the stream stands. */
  open(
    name: "echo" | "watch" | "bulk",
    onMessage: (message: Buffer) => void,
    first = "first",
  ): grpc.ClientDuplexStream<Buffer, Buffer> {
    const stream = this.#client.makeBidiStreamRequest(BARE_SERVICE[name].path, bytes, bytes);
    stream.on("data", onMessage);
    // It ends with the client.
    stream.on("error", () => {});
    stream.write(Buffer.from(first));
    return stream;
  }

  write(message: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(BARE_SERVICE.write.path, bytes, bytes, message, (error, answer) => {
        error ? reject(error) : resolve(answer ?? message);
      });
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
