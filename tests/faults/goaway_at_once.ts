/**
 * What `goaway_at_once_test.ts` runs in a process of its own: a client that reaches a server just when that one stops,
 * so that a connection's first bytes are its last ones. Ends with 0 when the call failed, as it has to.
 */
import { FleetService } from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { createClient } from "../../proto/grpc.ts";

// RFC 9113, 4.1: length, type, flags, stream. GOAWAY: the last stream that may be processed, and no error.
const SETTINGS = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const GOAWAY = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];

const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
const client = createClient(FleetService, `127.0.0.1:${listener.addr.port}`);
const failed = client.listFollowers({ realm: "local" }, { timeoutMs: 2_000 }).then(() => false, () => true);
const connection = await listener.accept();
await connection.read(new Uint8Array(1_024));
await connection.write(new Uint8Array([...SETTINGS, ...GOAWAY]));
Deno.exit(await failed ? 0 : 1);
