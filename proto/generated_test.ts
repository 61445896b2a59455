import assert from "node:assert/strict";
import { checkGenerated, differences } from "./generated.ts";

Deno.test("the contract is clean, breaks nothing, and the generated code is what it gives", async () => {
  assert.deepEqual(await checkGenerated(), []);
});

Deno.test("checkGenerated() names what is wrong: style, format, breaking changes, stale code", async () => {
  // Inside the checkout: buf and the generator are of the versions that its lock file holds.
  const dir = new URL("../.portolan", import.meta.url).pathname;
  await Deno.mkdir(dir, { recursive: true });
  const folder = await Deno.makeTempDir({ dir });
  try {
    await copy(new URL(".", import.meta.url).pathname, folder);
    const contract = `${folder}/portolan/v1/policy.proto`;
    const text = await Deno.readTextFile(contract);
    await Deno.writeTextFile(
      contract,
      text.replace("uint32 burst = 3;", "  uint64  burst = 3;") + "\nmessage bare {}\n",
    );
    await Deno.writeTextFile(`${folder}/gen/extra.ts`, "export {};\n");
    const problems = (await checkGenerated(folder)).join("\n");
    for (
      const expected of [
        /buf lint, in proto\/, fails/,
        /"bare" should be PascalCase/,
        /buf format .*: run: deno task generate/,
        /buf breaking .* fails\n.*"burst"/,
        /proto\/gen\/extra\.ts is not what the contract gives: run: deno task generate/,
        /proto\/gen\/portolan\/v1\/policy_pb\.ts is not/,
      ]
    ) assert.match(problems, expected);
    assert.doesNotMatch(problems, /discovery_pb/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("differences() names files that differ or that one folder lacks", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const write = async (path: string, text: string) => {
      await Deno.mkdir(`${folder}/${path}`.replace(/\/[^/]+$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${path}`, text);
    };
    for (const side of ["one", "other"]) await write(`${side}/same/a`, "a");
    await write("one/deep/b", "1");
    await write("other/deep/b", "2");
    await write("one/c", "c");
    await write("other/d", "");
    assert.deepEqual(await differences(`${folder}/one`, `${folder}/other`), ["c", "d", "deep/b"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copy(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}
