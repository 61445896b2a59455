import assert from "node:assert/strict";
import { fillTemplate } from "./template.ts";

Deno.test("fillTemplate() leads names to what live says, else to all instances, in a file that HAProxy takes", async () => {
  const instances = [
    { id: "i1", host: "127.0.0.1", port: 8_001, version: 1 },
    { id: "i2", host: "127.0.0.1", port: 8_002, version: 2 },
  ];
  const aliases = [{ name: "live", route: { version: 2 } }];
  const { config, routes } = fillTemplate([{ name: "a", instances }, { name: "b", instances, aliases }], 7_410);
  assert.deepEqual(routes.trim().split("\n"), [
    ...["v1.a v1.a", "v2.a v2.a", "a a"],
    ...["v1.b v1.b", "v2.b v2.b", "b v2.b", "live.b v2.b"],
  ]);
  const folder = await Deno.makeTempDir({ prefix: "portolan-bench-" });
  try {
    await Deno.writeTextFile(`${folder}/routes.map`, routes);
    await Deno.writeTextFile(`${folder}/haproxy.cfg`, config);
    const check = new Deno.Command("haproxy", { args: ["-c", "-f", "haproxy.cfg"], cwd: folder });
    const { success, stderr } = await check.output();
    assert.ok(success, new TextDecoder().decode(stderr));
    assert.equal(config.match(/^ {2}server i2 127\.0\.0\.1:8002$/gm)?.length, 4);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
