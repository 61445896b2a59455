/** Watchers of a map, and of the bare server: as little as a client can do. */
import { DiscoveryService, type WatchResponse } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { createClient } from "../../proto/grpc.ts";
import { BareClient } from "./bare_grpc.ts";

const GOT = Buffer.from("got");

/** On a connection of its own; answers once the first update is in. No services: all of the realm. */
export async function watchMap(
  address: string,
  services: readonly string[],
  onUpdate: (response: WatchResponse) => void,
): Promise<Disposable> {
  const client = createClient(DiscoveryService, address, { "grpc.use_local_subchannel_pool": 1 });
  const stream = client.watch();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  stream.on("error", reject);
  stream.on("data", (response: WatchResponse) => {
    if (!response.part?.last) return;
    const { position } = response.part;
    if (position) stream.write({ message: { case: "received", value: { position } } });
    onUpdate(response);
    resolve();
  });
  const scope = { realm: "local", services: [...services] };
  stream.write({ message: { case: "subscribe", value: { scope, subscription: 1 } } });
  await promise;
  return {
    [Symbol.dispose]() {
      stream.cancel();
      client.close();
    },
  };
}

/** The same of the bare server: a word back for each message. */
export async function watchBare(address: string, onUpdate: () => void): Promise<Disposable> {
  const client = new BareClient(address);
  const { promise, resolve } = Promise.withResolvers<void>();
  const stream = client.open("watch", () => {
    stream.write(GOT);
    onUpdate();
    resolve();
  });
  await promise;
  return {
    [Symbol.dispose]() {
      stream.cancel();
      client[Symbol.dispose]();
    },
  };
}
