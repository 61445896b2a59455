import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { unseal } from "../config/seal.ts";
import { NO_INSTANCES } from "../routing/plan.ts";
import { Caller, get } from "../testing/caller.ts";
import { freePort, startBackend } from "../testing/rig.ts";
import { DataFolder } from "./data_folder.ts";
import { processes } from "./master.ts";
import { openKeeper, parsed } from "./testing/keeper.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const NAME = "Portolan-Service: identity";

Deno.test("a sidecar that is killed at any step leaves files that are old or new, and HAProxy that fails no request", async () => {
  await using one = startBackend("one");
  const path = await Deno.makeTempDir({ prefix: "haproxy-" });
  const port = freePort();
  await using _ = { [Symbol.asyncDispose]: () => endIn(path, port) };
  const run = (step?: number | string) => keep(path, port, one.port, step);
  assert.equal(await run("a new process"), "killed after a new process");
  // The HAProxy that was being started is found.
  assert.equal(await run(), "done");
  const { master } = await processes(`${path}/master.sock`);
  const calls = callOnAndOn(port);
  const steps: string[] = [];
  try {
    for (;;) {
      const said = await run(steps.length + 1);
      if (said === "done") break;
      steps.push(said);
      await checkFiles(path, said);
    }
  } finally {
    calls.stop();
  }
  const { failed, done } = await calls.ended;
  assert.deepEqual(failed, []);
  assert.ok(done > steps.length);
  assert.deepEqual(steps.slice(-2), ["killed after commands of an update", "killed after files on disk"]);
  assert.ok(steps.includes("killed after telling to reload"));
  assert.equal((await processes(`${path}/master.sock`)).master, master);
});

/** Each is whole, and no row leads to a backend that is not there. */
async function checkFiles(path: string, said: string): Promise<void> {
  for (const name of ["haproxy.cfg", "routes.map"]) {
    assert.ok(unseal(Deno.readTextFileSync(`${path}/${name}`)), `${name} is torn: ${said}`);
  }
  using data = await DataFolder.open(path);
  const { plan } = parsed(data);
  for (const [key, value] of plan.routes) {
    assert.ok(value === NO_INSTANCES || plan.backends.has(value), `${key} ${value} leads nowhere: ${said}`);
  }
}

/** Ends what runs there as the sidecar that adopts it, and removes the folder. */
async function endIn(path: string, port: number): Promise<void> {
  await using keeper = await openKeeper({ path, port });
  assert.equal(await keeper.haproxy.adopt(parsed(keeper.data).generation), true);
}

/** Runs it until it ends, or is killed after a step; answers with what it says. */
async function keep(path: string, egress: number, instance: number, step?: number | string): Promise<string> {
  const { stdout, stderr, signal } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--cached-only", "--frozen", "-P=sidecar"],
      ...["sidecar/haproxy/testing/killable.ts", path, String(egress), String(instance)],
    ],
    cwd: ROOT,
    env: step === undefined ? {} : { PORTOLAN_FAIL_STEP: String(step) },
  }).output();
  const [said = "", errors = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.ok(said === "done\n" || (signal === "SIGKILL" && errors.startsWith("killed after ")), said + errors);
  return (said || errors).trim();
}

interface Calls {
  readonly failed: readonly unknown[];
  readonly done: number;
}

/** Calls on new connections and on a kept one in turn. */
function callOnAndOn(port: number): { stop(): void; readonly ended: Promise<Calls> } {
  const stop = new AbortController();
  return { stop: () => stop.abort(), ended: callUntil(port, stop.signal) };
}

async function callUntil(port: number, signal: AbortSignal): Promise<Calls> {
  const failed: unknown[] = [];
  let done = 0;
  let kept: Caller | undefined;
  const count = async (call: () => Promise<{ readonly body: string }>) => {
    try {
      const answer = await call();
      if (answer.body !== "one") failed.push(answer);
    } catch (error) {
      failed.push(error);
    }
    done++;
  };
  while (!signal.aborted) {
    await count(() => get(port, "/", NAME));
    await count(async () => {
      kept ??= await Caller.connect(port);
      const answer = await kept.get("/", NAME);
      if (answer.headers.get("connection") === "close") {
        kept[Symbol.dispose]();
        kept = undefined;
      }
      return answer;
    });
  }
  kept?.[Symbol.dispose]();
  return { failed, done };
}
