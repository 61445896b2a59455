/** One stream of the Watch protocol, said and heard as it is: nothing is folded, repeated or mended. */
import { DiscoveryService, type Part, type WatchResponse } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { createClient } from "../../proto/grpc.ts";
import type { At } from "./oracle_watch.ts";

export interface RawWatch {
  /** Why the stream ended, in one word or sentence. */
  readonly ended: Promise<string>;
  /** Begins the subscription of this number or changes to it. */
  subscribe(subscription: number, services: readonly string[], after: At | undefined): void;
  /** Says that the update up to here was folded. */
  received(position: At): void;
  /** Ends the stream, as a client does that goes. */
  cancel(): void;
}

export interface RawWatchOptions {
  readonly address: string;
  readonly realm: string;
  /** Called with each part; nothing is called any more once it was cancelled. */
  readonly onPart: (part: Part, subscription: number) => void;
}

// As clients of ours notice that a server is dead; nobody shares a connection.
const CHANNEL = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.use_local_subchannel_pool": 1,
};

/** On a connection of its own. */
export function openRawWatch({ address, realm, onPart }: RawWatchOptions): RawWatch {
  const client = createClient(DiscoveryService, address, CHANNEL);
  const stream = client.watch();
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  let over = false;
  const end = (why: string) => {
    over = true;
    resolve(why);
    client.close();
  };
  stream.on("data", ({ part, subscription }: WatchResponse) => !over && part && onPart(part, subscription));
  stream.on("error", (error: Error) => end(error.message));
  stream.on("end", () => end("the server ended it"));
  return {
    ended,
    subscribe(subscription, services, after) {
      const scope = { realm, services: [...services] };
      stream.write({ message: { case: "subscribe", value: { scope, ...(after && { after }), subscription } } });
    },
    received: (position) => void stream.write({ message: { case: "received", value: { position } } }),
    cancel() {
      over = true;
      stream.cancel();
    },
  };
}
