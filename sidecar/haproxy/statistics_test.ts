import assert from "node:assert/strict";
import { CommandSocket } from "./command_socket.ts";
import { connectFailures, requestsUnderWay } from "./statistics.ts";
import { startTeller } from "./testing/teller.ts";

const HEADER = "# pxname,svname,scur,econ,wretr,wredis";

Deno.test("what a worker has counted is read by the names of its columns; one that is missing counts as nothing else", async () => {
  const ask = async (header: string) => {
    await using worker = await startTeller(`${header}\nb001,i1,1,2,3,4\nb001,i1.1,5,6,7,8\nb001,i2,9,0,0,0\n`);
    using socket = await CommandSocket.open(worker.path);
    return [await requestsUnderWay(socket), [...await connectFailures(worker.path, "b001")]];
  };
  assert.deepEqual(await ask(HEADER), [15, [["i1", 30], ["i2", 0]]]);
  for (const name of HEADER.split(",").slice(1)) {
    await assert.rejects(ask(HEADER.replace(name, "other")), { name: "NoColumn", message: new RegExp(`"${name}"$`) });
  }
});
