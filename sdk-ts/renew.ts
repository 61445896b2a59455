import type { MessageInitShape } from "@bufbuild/protobuf";
import { RegistryService, type RenewRequestSchema, type RenewResponse } from "../proto/gen/portolan/v1/registry_pb.ts";
import { createClient } from "../proto/grpc.ts";

/** One stream of beats to one control plane. */
export interface Beats extends Disposable {
  /** What became of the lease. One at a time; rejected once the stream has ended. */
  beat(request: MessageInitShape<typeof RenewRequestSchema>): Promise<RenewResponse>;
}

/** Opens the stream; ends with its disposal, or when the control plane ends it: the next beat tells. */
export function openBeats(address: string): Beats {
  const client = createClient(RegistryService, address, { "grpc.use_local_subchannel_pool": 1 });
  const stream = client.renew();
  let asked: PromiseWithResolvers<RenewResponse> | undefined;
  let over: Error | undefined;
  const end = (error: Error) => {
    over ??= error;
    asked?.reject(over);
  };
  stream.on("data", (response: RenewResponse) => asked?.resolve(response));
  stream.on("error", end);
  stream.on("end", () => end(new Error("the server ended the stream")));
  return {
    beat(request) {
      if (over) return Promise.reject(over);
      asked = Promise.withResolvers();
      stream.write(request);
      return asked.promise;
    },
    [Symbol.dispose]() {
      stream.cancel();
      client.close();
    },
  };
}
