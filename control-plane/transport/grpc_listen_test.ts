import assert from "node:assert/strict";
import * as grpc from "@grpc/grpc-js";
import { createClient, serviceDefinition } from "../../proto/grpc.ts";
import { SILENT } from "../../proto/log.ts";
import { formatAddress } from "../../proto/settings.ts";
import { FleetService } from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { listen } from "./grpc_listen.ts";

const QUICK = { everyMs: 5, answerMs: 50 };

/** A server of one method, which is looked after. */
async function listening() {
  const server = new grpc.Server();
  const listFollowers = (_: unknown, callback: grpc.sendUnaryData<object>) => callback(null, {});
  server.addService(serviceDefinition(FleetService), { listFollowers } as unknown as grpc.UntypedServiceImplementation);
  const warnings: string[] = [];
  const warned = Promise.withResolvers<void>();
  const warn = (message: string) => (warnings.push(message), warned.resolve());
  const stopped = new AbortController();
  const address = await listen(server, { host: "127.0.0.1", port: 0 }, { ...SILENT, warn }, stopped.signal, QUICK);
  return {
    server,
    address,
    warnings,
    warned: warned.promise,
    /** Asks, on a connection of its own, until it is answered. */
    async ask() {
      const client = createClient(FleetService, formatAddress(address), { "grpc.use_local_subchannel_pool": 1 });
      while (!await client.listFollowers({ realm: "local" }).catch(() => undefined));
      client.close();
    },
    [Symbol.dispose]() {
      stopped.abort();
      server.forceShutdown();
    },
  };
}

Deno.test("a server that answers is left alone", async () => {
  using one = await listening();
  await one.ask();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(one.warnings, []);
});

Deno.test("a server that does not accept connections any more listens again, at the same port", async () => {
  using one = await listening();
  one.server.unbind(formatAddress(one.address));
  await one.warned;
  await one.ask();
});

Deno.test("a listener that says nothing is taken for deaf, and its port taken over once it is free", async () => {
  using one = await listening();
  one.server.unbind(formatAddress(one.address));
  const { host: hostname, port } = one.address;
  const deaf = Deno.listen({ hostname, port });
  await one.warned;
  deaf.close();
  await one.ask();
});
