import assert from "node:assert/strict";
import process from "node:process";
import { mkdtempSync, readFileSync, rmSync, watch } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { turn } from "../proto/testing/turn.ts";
import { type Child, startChild } from "./child.ts";
import { killLeftovers } from "./leftovers.ts";

/** A child that runs a shell script, in a folder of its own; killed at the end whatever happened. */
async function withChild(
  script: string,
  test: (child: Child, lines: (text: string) => Promise<void>) => Promise<void>,
) {
  const folder = mkdtempSync(join(tmpdir(), "portolan-child-"));
  const log = join(folder, "log");
  const mark = `PORTOLAN_STACK=${crypto.randomUUID()}`;
  const env = Object.fromEntries([mark.split("=")]);
  const child = startChild({ name: "child", command: "sh", args: ["-c", script], cwd: folder, env, log });
  try {
    await test(child, (text) => printed(log, text));
  } finally {
    child.kill();
    await child.ended;
    await killLeftovers(mark);
    rmSync(folder, { recursive: true });
  }
}

/** Resolves when the log holds the text. */
function printed(log: string, text: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = () => readFileSync(log, "utf8").includes(text) && resolve();
  const watcher = watch(log, look);
  look();
  return promise.finally(() => watcher.close());
}

const alive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

Deno.test("a child's output is in its log when it has ended, and so is how", async () => {
  await withChild("echo one; echo two >&2; exit 3", async (child) => {
    assert.equal(await child.ended, "code 3");
    assert.deepEqual(readFileSync(child.log, "utf8").split("\n").sort(), ["", "one", "two"]);
    assert.equal(child.tail(1).split("\n").length, 1);
    assert.equal(await child.stop(1_000), true, "stopping what has ended is done");
  });
});

Deno.test("a child is asked to end, and ends by itself", async () => {
  await withChild("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done", async (child, lines) => {
    await lines("ready");
    assert.equal(await child.stop(60_000), true);
    assert.equal(await child.ended, "code 0");
    assert.equal(child.tail(1), "bye");
  });
});

Deno.test("a child that does not listen is killed, with what it started", async () => {
  await withChild("trap '' TERM; sleep 1000 & echo pid $!; echo ready; wait; wait", async (child, lines) => {
    await lines("ready");
    const pid = Number(/pid ([0-9]+)/.exec(child.tail(2))?.[1]);
    assert.equal(alive(pid), true);
    assert.equal(await child.stop(1), false);
    assert.equal(await child.ended, "signal SIGKILL");
    await gone(pid);
  });
});

Deno.test("killLeftovers() finds what has left the child's group", async () => {
  await withChild("setsid sh -c 'echo pid $$; echo ready; exec sleep 1000' & wait", async (child, lines) => {
    await lines("ready");
    const pid = Number(/pid ([0-9]+)/.exec(child.tail(2))?.[1]);
    child.kill();
    assert.equal(await child.ended, "signal SIGKILL");
    assert.equal(alive(pid), true);
    const mark = /PORTOLAN_STACK=[0-9a-f-]+/.exec(readFileSync(`/proc/${pid}/environ`, "utf8"))?.[0];
    await killLeftovers(mark ?? "");
    await gone(pid);
  });
});

/** Orphans are collected by whoever adopts them: not at once. */
async function gone(pid: number): Promise<void> {
  while (alive(pid) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))) {
    await turn();
  }
}
