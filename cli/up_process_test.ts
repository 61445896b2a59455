import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFetch } from "../sdk-ts/fetch.ts";
import { lines, run, spawn } from "./testing/run.ts";

interface Up {
  readonly child: Deno.ChildProcess;
  readonly data: string;
  readonly grpc: string;
  readonly fetch: typeof fetch;
  /** What it printed on standard error, once it has ended. */
  readonly complaints: Promise<string[]>;
  /** Every address it listens on. */
  readonly addresses: readonly string[];
}

/** The whole stack with its demo, started as users start it; gone at the end, whatever the test did. */
async function withUp(test: (up: Up) => Promise<void>): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), "portolan-up-"));
  const addresses = freeAddresses(4);
  const [http = "", grpc = "", egress = "", admin = ""] = addresses;
  const listeners = ["--http", http, "--grpc", grpc, "--egress", egress, "--admin", admin];
  const servers = ["--max-watches", "500", "--max-requests", "400", "--host-id", "desk", "--zone", "attic"];
  const child = spawn(["up", "--data", data, ...listeners, ...servers], { PORTOLAN_REALM: "local" });
  const complaints = Array.fromAsync(lines(child.stderr));
  try {
    const printed = lines(child.stdout);
    let line: IteratorResult<string>;
    do line = await printed.next(); while (!line.done && !line.value.startsWith("./portolan disable"));
    assert.equal(line.done, false, `up ended early: ${(await Promise.race([complaints, []])).join("\n")}`);
    const rest = Array.fromAsync(printed);
    await test({ child, data, grpc, complaints, addresses, fetch: createFetch({ sidecar: `http://${egress}` }) });
    await rest;
  } finally {
    try {
      child.kill("SIGTERM");
    } catch {
      // It has ended.
    }
    await child.status;
    rmSync(data, { recursive: true });
  }
}

function freeAddresses(count: number): string[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  for (const listener of listeners) listener.close();
  return listeners.map(({ addr }) => `127.0.0.1:${(addr as Deno.NetAddr).port}`);
}

function assertFree(addresses: readonly string[]): void {
  for (const address of addresses) Deno.listen({ hostname: "127.0.0.1", port: Number(address.split(":")[1]) }).close();
}

/** Resolves when the sidecar routes by this revision or a later one. */
async function applied(http: string | undefined, revision: bigint): Promise<void> {
  for (;;) {
    const { followers } = await (await fetch(`http://${http}/api/v1/realms/local/followers`)).json();
    if (BigInt(followers[0]?.applied?.revision ?? 0) >= revision) return;
  }
}

Deno.test("up runs the chain by name, split moves its calls, and Ctrl-C leaves nothing", async () => {
  await withUp(async ({ child, data, grpc, addresses, complaints, fetch }) => {
    const headers = { "portolan-flow": "flow-1" };
    const teams = await (await fetch("service://teams/", { headers })).json();
    assert.deepEqual([teams.service, teams.flow, teams.identity.service, teams.identity.flow], [
      "teams",
      "flow-1",
      "identity",
      "flow-1",
    ]);
    const split = ["split", "identity", "v1=0", "v2=10000", "--control-plane", grpc, "--output", "json"];
    await applied(addresses[0], BigInt(JSON.parse((await run(split)).out).revision));
    for (let call = 0; call < 20; call++) {
      assert.equal((await (await fetch("service://identity/")).json()).version, 2);
    }
    const { followers: [sidecar] } = await (await fetch(`http://${addresses[0]}/api/v1/realms/local/followers`)).json();
    assert.deepEqual([sidecar.follower.id, sidecar.follower.zone], ["desk", "attic"]);
    child.kill("SIGINT");
    assert.deepEqual([(await child.status).code, await complaints], [0, []]);
    assertFree(addresses);
    const log = readFileSync(join(data, "logs", "control-plane.log"), "utf8");
    assert.equal(log.match(/"operation":"deregister"/g)?.length, 4, "each demo service has deregistered");
  });
});

Deno.test("up says which part ended, stops the others, and ends with 1", async () => {
  await withUp(async ({ child, data, addresses, complaints }) => {
    const { stdout } = await new Deno.Command("pgrep", { args: ["-af", `${data}/control-plane --http`] }).output();
    const [pid, ...line] = new TextDecoder().decode(stdout).trim().split(" ");
    assert.match(line.join(" "), / --max-watches 500 --max-requests 400$/);
    Deno.kill(Number(pid), "SIGKILL");
    assert.equal((await child.status).code, 1);
    assert.match(
      (await complaints).at(-1) ?? "",
      /^portolan up: control-plane ended \(signal SIGKILL\), so everything/,
    );
    assertFree(addresses);
  });
});
