import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startedControlPlane } from "./testing/control_plane.ts";
import { run } from "./testing/run.ts";

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "portolan-backup-"));
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

Deno.test("backup writes a database that a control plane starts from", async () => {
  await inFolder(async (folder) => {
    const file = join(folder, "copy.sqlite");
    {
      await using plane = await startedControlPlane("--data", join(folder, "data"));
      await plane.done("register", "identity", "127.0.0.1:8080");
      assert.match(await plane.done("backup", file), /^Copied \d+ bytes to .*copy\.sqlite\n$/);
      await plane.done("register", "teams", "127.0.0.1:8080");
    }
    assert.deepEqual(readdirSync(folder).sort(), ["copy.sqlite", "data"]);
    await using restored = await startedControlPlane("--store", `sqlite:${file}`);
    assert.match(await restored.done("services"), /^identity/m);
    assert.match((await restored.run("show", "teams")).err, /it does not exist/);
  });
});

Deno.test("backup says why there is none, and leaves nothing", async () => {
  await inFolder(async (folder) => {
    const file = join(folder, "copy.sqlite");
    const answers = [
      () => Response.json({ title: "Refused", detail: "Cannot copy a map in memory" }, { status: 400 }),
      () => new Response("oops", { status: 500 }),
      () => Response.json({ detail: "not now" }, { status: 503 }),
      () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              controller.enqueue(new Uint8Array(100));
              controller.error(new Error("the disk is gone"));
            },
          }),
        ),
    ];
    await using server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {}, onError: () => new Response(null, { status: 500 }) },
      () => answers.shift()?.() ?? new Response(),
    );
    const at = `127.0.0.1:${server.addr.port}`;
    const outcomes: [number, RegExp][] = [
      [1, /^portolan backup: Cannot back up .*: Cannot copy a map in memory\n$/],
      [1, /: it answers 500\n$/],
      [3, /: not now\n$/],
      [3, /the connection to 127\.0\.0\.1:\d+ broke after \d+ bytes; try again\n$/],
    ];
    for (const [exit, sentence] of outcomes) {
      const outcome = await run(["backup", file, "--http", at]);
      assert.deepEqual([outcome.exit, outcome.out], [exit, ""]);
      assert.match(outcome.err, sentence);
    }
    const nobody = await run(["backup", file, "--http", "127.0.0.1:9"]);
    assert.equal(nobody.exit, 3);
    assert.match(nobody.err, /Cannot reach the control plane at 127\.0\.0\.1:9: start one with .* with --http\n$/);
    assert.deepEqual(readdirSync(folder), []);
  });
});
