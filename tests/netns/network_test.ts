import assert from "node:assert/strict";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { type Child, startDeno } from "./child.ts";
import { ip, processesIn } from "./ip.ts";
import { Network, type NetworkHost } from "./network.ts";
import { networkTest } from "./permitted.ts";

networkTest(
  "what is cut off neither hears nor is told, and goes on over the same connections when it is healed",
  async () => {
    const before = await ip(undefined, ["link show"]);
    await using network = await Network.open(["one", "two", "three"]);
    const talk = new Talk(network.hosts);
    const [one, two, three] = network.hosts as [NetworkHost, NetworkHost, NetworkHost];
    const all = [[one, two], [two, one], [one, three], [three, one], [two, three], [three, two]] as const;
    await talk.goesOn(...all);

    await one.cut(two);
    await talk.ends([one, two], [two, one]);
    await talk.goesOn(...all.slice(2));
    await one.heal(two);
    await talk.goesOn(...all);

    await three.cut();
    await talk.ends(...all.slice(2));
    await talk.goesOn(...all.slice(0, 2));
    await network.partition([one, three], [two]);
    await talk.goesOn([one, three], [three, one]);
    await talk.ends([one, two], [two, one], [three, two], [two, three]);
    await network.heal();
    await talk.goesOn(...all);
    assert.deepEqual(talk.failed, []);
    // The machine itself has nothing of it.
    assert.equal(await ip(undefined, ["link show"]), before);
  },
);

networkTest(
  "a network leaves nothing behind; what a killed run has left is swept by the next, and only that",
  async () => {
    await using living = await Network.open(["one"]);
    const run = await killedRun();
    assert.equal((await processesIn(`${run}-h0`)).length, 1);
    {
      await using next = await Network.open(["one"]);
      await Deno.writeTextFile(`${next.folder}/file`, "");
      next.host("one").start("sleep", ["1000000"]);
      assert.deepEqual([await processesIn(`${run}-h0`), namespacesOf(run), exists(`/tmp/${run}`)], [[], [], false]);
      assert.equal(namespacesOf(basename(next.folder)).length, 2);
    }
    assert.deepEqual(namespacesOf(`portolan-netns-${Deno.pid}`).length, 2);
    assert.ok(exists(living.folder));
  },
);

/** Peers on all hosts, and what they hear of each other. */
class Talk {
  readonly failed: string[] = [];
  readonly #heard = new Map<string, number>();
  readonly #waiting = new Map<string, () => void>();

  constructor(hosts: readonly NetworkHost[]) {
    for (const host of hosts) this.#start(host, hosts.filter((other) => other !== host));
  }

  /** Resolves once each has heard the other again. */
  async goesOn(...pairs: readonly (readonly [NetworkHost, NetworkHost])[]): Promise<void> {
    await Promise.all(
      pairs.map(([from, to]) =>
        new Promise<void>((resolve) => this.#waiting.set(`${from.address} ${to.address}`, resolve))
      ),
    );
  }

  /** Fails if any hears the other, once what was under way has come. */
  async ends(...pairs: readonly (readonly [NetworkHost, NetworkHost])[]): Promise<void> {
    const heard = () => pairs.map(([from, to]) => this.#heard.get(`${from.address} ${to.address}`));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const before = heard();
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(heard(), before);
  }

  #start(host: NetworkHost, others: readonly NetworkHost[]): Child {
    const { address } = host;
    const peer = ["tests/netns/inside/peer.ts", "test"] as const;
    return startDeno(host, peer, [address, ...others.map(({ address }) => address)], {
      onLine: (line) => {
        const [what, to = ""] = line.split(" ");
        if (what !== "heard") return void this.failed.push(`${address}: ${line}`);
        const key = `${address} ${to}`;
        this.#heard.set(key, (this.#heard.get(key) ?? 0) + 1);
        this.#waiting.get(key)?.();
        this.#waiting.delete(key);
      },
    });
  }
}

/** Answers with the name of a run that was killed. */
async function killedRun(): Promise<string> {
  const script = fileURLToPath(new URL("testing/left_behind.ts", import.meta.url));
  const args = ["run", "--quiet", "--cached-only", "--frozen", "-P=test", script];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  return basename(new TextDecoder().decode(value).trim());
}

function namespacesOf(run: string): readonly string[] {
  return [...Deno.readDirSync("/run/netns")].map(({ name }) => name).filter((name) => name.startsWith(`${run}-`));
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
