import assert from "node:assert/strict";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dirname!, "..");

/** The shell script in a checkout without a Deno, with an npm that ends like this. */
async function begun(npm: string, lock: string): Promise<{ code: number; err: string }> {
  const folder = await Deno.makeTempDir({ prefix: "portolan-script-" });
  try {
    const files = {
      ".tools/package-lock.json": lock,
      "deno.lock": "",
      "deno.json": "{}",
      "bin/npm": `#!/bin/sh\n${npm}\n`,
    };
    for (const [name, text] of Object.entries(files)) {
      await Deno.mkdir(join(folder, dirname(name)), { recursive: true });
      await Deno.writeTextFile(join(folder, name), text, { mode: 0o755 });
    }
    await Deno.copyFile(join(ROOT, "portolan"), join(folder, "portolan"));
    const { code, stderr } = await new Deno.Command("sh", {
      args: [join(folder, "portolan"), "--help"],
      env: { PATH: `${join(folder, "bin")}:${Deno.env.get("PATH")}` },
    }).output();
    return { code, err: new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("portolan shows what npm says where it brings no Deno, also where it ends well", async () => {
  const lock = await Deno.readTextFile(join(ROOT, ".tools/package-lock.json"));
  for (const exit of [0, 1]) {
    const { code, err } = await begun(`echo "npm http fetch failed with ECONNREFUSED $*"; exit ${exit}`, lock);
    assert.equal(code, 1);
    assert.match(err, /^npm http fetch failed with ECONNREFUSED ci --loglevel=http$/m);
    assert.match(err, /^portolan: Cannot bring Deno \(@deno\/[a-z]+-[a-z0-9-]+\) with npm: /m);
  }
});

Deno.test("portolan says so where no Deno is published for a machine", async () => {
  const { code, err } = await begun("exit 0", "{}");
  assert.equal(code, 1);
  assert.match(err, /^portolan: Cannot find a Deno for .*: it is published for Linux \(glibc\) and macOS$/m);
});
