/**
 * Senders of gRPC that share a channel, with the library as its users have it: it sends again, unseen, what certainly
 * was not processed.
 */
import * as grpc from "@grpc/grpc-js";
import { isAnswer, streamText } from "./answer.ts";
import { GRPC_SERVICE } from "./grpc_instance.ts";
import { DONE, GIVEN_UP, type Outcome, type Sender } from "./outcome.ts";
import type { Where } from "./wire.ts";

export type Channel = grpc.Client;

/** Used from now on until it is closed. */
export function openChannel({ port }: Where): Channel {
  return new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    // Nobody is to wait for long once there is somebody to connect to again.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
  });
}

/** Of unary calls. */
export class GrpcSender implements Sender {
  constructor(private readonly channel: Channel, private readonly where: Where) {}

  send(id: number, service: string): Promise<Outcome> {
    const { path, requestSerialize, responseDeserialize } = GRPC_SERVICE.ask;
    const deadline = Date.now() + this.where.timeoutMs;
    return new Promise((resolve) => {
      const done = (error: grpc.ServiceError | null, answer = "") =>
        resolve(error ? failure(error) : checked(isAnswer(answer, service, id), answer));
      const metadata = metadataOf(id, service);
      this.channel.makeUnaryRequest(path, requestSerialize, responseDeserialize, "who", metadata, { deadline }, done);
    });
  }

  [Symbol.dispose](): void {
    this.channel.close();
  }
}

/** Of calls that are answered for `ms`. */
export class GrpcStreamSender implements Sender {
  #call: grpc.ClientReadableStream<string> | undefined;
  #isLeaving = false;

  constructor(private readonly channel: Channel, private readonly where: Where, private readonly ms: number) {}

  send(id: number, service: string): Promise<Outcome> {
    const { path, requestSerialize, responseDeserialize } = GRPC_SERVICE.stream;
    const deadline = Date.now() + this.ms + this.where.timeoutMs;
    return new Promise((resolve) => {
      const metadata = metadataOf(id, service);
      const call = this.channel.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        `${this.ms}`,
        metadata,
        { deadline },
      );
      this.#call = call;
      const heard: string[] = [];
      call.on("data", (text: string) => heard.push(text));
      call.on("end", () => {});
      // The status says it too.
      call.on("error", () => {});
      call.once("status", (status: grpc.StatusObject) => {
        const [answer = "", ...rest] = heard;
        const isRight = isAnswer(answer, service, id) && rest.join("") === streamText(this.ms);
        if (status.code === grpc.status.OK) resolve(checked(isRight, heard.join("")));
        else resolve(this.#isLeaving ? GIVEN_UP : failure(status, heard.length > 0));
      });
    });
  }

  leave(): void {
    this.#isLeaving = true;
    this.#call?.cancel();
  }

  [Symbol.dispose](): void {
    this.channel.close();
  }
}

function metadataOf(id: number, service: string): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set("portolan-service", service);
  metadata.set("x-request", `${id}`);
  return metadata;
}

function checked(isRight: boolean, answer: string): Outcome {
  return isRight ? DONE : { outcome: "wrong_answer", detail: answer.slice(0, 200) };
}

function failure({ code, details }: Pick<grpc.StatusObject, "code" | "details">, isBegun = false): Outcome {
  if (code === grpc.status.DEADLINE_EXCEEDED) return { outcome: "timeout", detail: details };
  const outcome = `grpc:${grpc.status[code]}`;
  return isBegun ? { outcome: "truncated", detail: `${outcome} ${details}` } : { outcome, detail: details };
}
