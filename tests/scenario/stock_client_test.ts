/** A client in another language, made from the contract by buf and Go's own generators, that knows nothing of ours. */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startedControlPlane } from "./control_plane.ts";
import { ROOT } from "./testing/program.ts";

const SOURCE = join(ROOT, "tests/scenario/stock_client");

Deno.test("a client generated for Go registers, renews, watches with received and applied, and resumes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "portolan-stock-"));
  try {
    const program = await build(folder);
    await using controlPlane = await startedControlPlane();
    const lines = (await run(program, [controlPlane.grpc])).trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines, [
      { saw: "registered", lease: true },
      { saw: "watched", complete: true, instances: ["one UNKNOWN", "two PASSING"] },
      { saw: "changed", complete: false, instances: ["one UNKNOWN disabled", "two PASSING"] },
      { saw: "applied", verdict: "DONE" },
      { saw: "resumed", complete: false, instances: ["one UNKNOWN disabled", "three UNKNOWN", "two UNKNOWN"] },
      { saw: "expired", instances: [] },
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Generates and compiles in `folder`; the program's path. */
async function build(folder: string): Promise<string> {
  const proto = ["--exclude-path", "proto/google", "--exclude-path", "proto/grpc"].map((word) =>
    word.startsWith("proto/") ? join(ROOT, word) : word
  );
  const template = ["--template", "buf.gen.yaml", "-o", folder];
  const buf = ["run", "--quiet", "--cached-only", "-A", "npm:@bufbuild/buf@1.74.0", "generate"];
  await run(Deno.execPath(), [...buf, join(ROOT, "proto"), ...proto, ...template], SOURCE);
  for (const file of ["main.go", "go.mod", "go.sum"]) cpSync(join(SOURCE, file), join(folder, file));
  await run("go", ["build", "-o", "stock", "."], folder);
  return join(folder, "stock");
}

async function run(program: string, args: readonly string[], cwd = ROOT): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args], cwd }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.ok(success, `${program} ${args.join(" ")}: ${err}`);
  return out ?? "";
}
