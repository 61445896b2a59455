import assert from "node:assert/strict";
import { dirname } from "node:path";
import { type Fields, SILENT } from "../../proto/log.ts";
import { turn } from "../../proto/testing/turn.ts";
import { Caller } from "../testing/caller.ts";
import { instance, service } from "../testing/maps.ts";
import { startBackend } from "../testing/rig.ts";
import { OldWorkers } from "./old_workers.ts";
import { openKeeper } from "./testing/keeper.ts";
import { planOf } from "./testing/plans.ts";

const NAME = "Portolan-Service: identity";

Deno.test("an old worker is counted, and what it still has when its time is over is told by name", async () => {
  const answered = Promise.withResolvers<Response>();
  await using slow = startBackend(
    "slow",
    ({ url }) => url.endsWith("/slow") ? answered.promise : new Response("quick"),
  );
  const said: Fields[] = [];
  const cut = Promise.withResolvers<void>();
  const log = {
    ...SILENT,
    warn(message: string, fields: Fields = {}) {
      said.push({ message, ...fields });
      cut.resolve();
    },
  };
  // What is looked at 2 s before the end is looked at after half a second.
  await using keeper = await openKeeper({ log, stopAfterMs: 2_500, timeouts: { stopAfterMs: 2_500 } });
  const plan = planOf([service("identity", { instances: [instance("i1", { port: slow.port })] })]);
  await keeper.haproxy.start((generation) => keeper.print(plan, generation));
  const first = keeper.haproxy.workerPid;
  assert.deepEqual(await keeper.haproxy.oldWorkers(), []);
  using kept = await Caller.connect(keeper.port);
  using busy = await Caller.connect(keeper.port);
  assert.equal((await kept.get("/", NAME)).body, "quick");
  const answer = busy.get("/slow", NAME);
  try {
    while (slow.requests.length < 2) await turn();
    await keeper.haproxy.reload((generation) => keeper.print(plan, generation));
    const old = await keeper.haproxy.oldWorkers();
    assert.deepEqual(old.map(({ pid, connections }) => ({ pid, connections })), [{ pid: first, connections: 2 }]);
    assert.equal(keeper.haproxy.longStreamsCut, 0);

    await cut.promise;
    const [{ message, pid, count, streams } = {}] = said;
    assert.match(String(message), /^A worker that was replaced long ago is ended by HAProxy/);
    assert.deepEqual([pid, count], [first, 1]);
    const [{ age, ...stream }] = streams as [{ age: string }];
    assert.deepEqual(stream, { frontend: "egress", backend: "b001", server: "i1" });
    assert.match(age, /^[0-9]+s$/);
    assert.equal(keeper.haproxy.longStreamsCut, 1);
    assert.equal((await answer).headers.get("portolan-error"), "bad_response");
    while ((await keeper.haproxy.oldWorkers()).length > 0) await turn();
  } finally {
    answered.resolve(new Response());
    await answer.catch(() => {});
  }
});

Deno.test("settle() asks an old worker until it says that it stops, and one that has said so not again", async () => {
  const path = `${await Deno.makeTempDir()}/master.sock`;
  const told = [
    ...["0", "0", "", "1"],
    // What is said later goes unheard.
    "0",
  ];
  await using master = fakeMaster(path, (command) => {
    if (command === "show proc") return PROC;
    assert.equal(command, "@!11 show info");
    const stopping = told.shift() ?? assert.fail("asked again");
    return stopping === "" ? "" : `Pid: 11\nStopping: ${stopping}\n`;
  });
  using workers = new OldWorkers({ masterSocket: path, log: SILENT, stopAfterMs: 600_000 });
  await workers.settle();
  assert.deepEqual(told, ["0"]);
  await workers.settle();
  assert.deepEqual(told, ["0"]);
  assert.ok(master.asked > 5);
});

Deno.test("settle() goes on when the old worker has ended", async () => {
  const path = `${await Deno.makeTempDir()}/master.sock`;
  let asked = 0;
  await using _ = fakeMaster(path, (command) => {
    if (command !== "show proc") return "Can't find the target PID matching the prefix '@!11'\n";
    return asked++ === 0 ? PROC : PROC.replace(/# old workers\n.*\n/, "");
  });
  using workers = new OldWorkers({ masterSocket: path, log: SILENT, stopAfterMs: 600_000 });
  await workers.settle();
  assert.deepEqual(await workers.list(), []);
});

Deno.test("listWithin() tells what was known of a master that does not answer", async () => {
  const path = `${await Deno.makeTempDir()}/master.sock`;
  const silent = Promise.withResolvers<string>();
  let hangs = false;
  await using _ = fakeMaster(path, (command) => {
    if (hangs) return silent.promise;
    return command === "show proc" ? PROC : "Pid: 11\nCurrConns: 3\n";
  });
  using workers = new OldWorkers({ masterSocket: path, log: SILENT, stopAfterMs: 600_000 });
  const known = [{ pid: 11, ageMs: 1_000, connections: 3 }];
  assert.deepEqual(await workers.list(), known);
  hangs = true;
  const listed = workers.list();
  assert.deepEqual(await workers.listWithin(1), known);
  assert.equal(workers.list(), listed, "a master that hangs is asked once");
  silent.resolve("");
  await listed.catch(() => {});
});

const PROC = `#<PID>          <type>          <reloads>       <uptime>        <version>
10              master          1 [failed: 0]   0d00h00m09s     2.6.12
# workers
12              worker          0               0d00h00m01s     2.6.12
# old workers
11              worker          1               0d00h00m09s     2.6.12
# programs

`;

/** Answers as a master does: one command a connection. A real one stops its workers too fast to be watched at it. */
function fakeMaster(
  path: string,
  answer: (command: string) => string | Promise<string>,
): AsyncDisposable & { readonly asked: number } {
  const listener = Deno.listen({ transport: "unix", path });
  let asked = 0;
  const serve = async () => {
    for await (const connection of listener) {
      using _ = connection;
      const buffer = new Uint8Array(1_000);
      const count = await connection.read(buffer);
      asked++;
      const [command = ""] = new TextDecoder().decode(buffer.subarray(0, count ?? 0)).split("\n");
      await connection.write(new TextEncoder().encode(await answer(command)));
    }
  };
  const served = serve();
  return {
    get asked() {
      return asked;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      await served;
      await Deno.remove(dirname(path), { recursive: true });
    },
  };
}
