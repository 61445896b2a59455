import assert from "node:assert/strict";
import { ROOT } from "../scenario/testing/program.ts";

Deno.test("a client that reaches a server just when that one stops fails, and does not spin for ever", async () => {
  const args = ["run", "-A", "--quiet", "--cached-only", "tests/faults/goaway_at_once.ts"];
  const client = new Deno.Command(Deno.execPath(), { args, cwd: ROOT, stdout: "null" }).spawn();
  // One that spins looks at nothing else, its own timers included.
  const late = setTimeout(() => client.kill("SIGKILL"), 20_000);
  const { code } = await client.status;
  clearTimeout(late);
  assert.equal(code, 0);
});
