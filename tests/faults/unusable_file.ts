import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { startControlPlane } from "../../control-plane/main.ts";
import { loadControlPlaneSettings } from "../../control-plane/settings.ts";
import { SILENT } from "../../proto/log.ts";
import { formatAddress } from "../../proto/settings.ts";
import { ROOT } from "../scenario/testing/program.ts";
import { defineFault } from "./fault.ts";
import { type Figure, Tally } from "./figures.ts";
import { readMap } from "./folded.ts";
import { startPlane } from "./plane.ts";
import { type Chance } from "./seed.ts";
import { Storm } from "./storm.ts";
import { temporaryFolder } from "./temporary_folder.ts";
import { fillUp, writeMany } from "./run_storm.ts";

interface Sizes {
  readonly writes: number;
  /** Pieces of the file that say something else, one at a time. */
  readonly damages: number;
}

export const unusableFile = defineFault<Sizes>({
  name: "F25",
  fault: "another process has the store's file; a page, a sector or a bit of it is not what was written",
  promise: "it refuses to start and says why, in one sentence, or serves the map as it was; who runs goes on",
  small: { writes: 200, damages: 60 },
  full: { writes: 5_000, damages: 2_000 },
  run,
});

async function run({ writes, damages }: Sizes, chance: Chance): Promise<readonly Figure[]> {
  const tally = new Tally();
  await using folder = await temporaryFolder();
  const path = join(folder.path, "map.sqlite");
  {
    await using plane = await startPlane({ folder: folder.path });
    using storm = await Storm.begin(plane);
    const writers = storm.writers(4, chance);
    // Values that are longer than a page, among others.
    await fillUp(storm, writers);
    await writeMany(writers, writes / 2);
    // Neither another control plane nor any other program gets in.
    assert.match(await refusal(folder.path), /: another process has locked it: stop that one/);
    using other = new DatabaseSync(path, { timeout: 0 });
    assert.throws(() => other.exec("CREATE TABLE mine (n)"), /locked/);
    await writeMany(writers, writes / 2);
  }
  {
    using other = new DatabaseSync(path);
    other.exec("BEGIN EXCLUSIVE");
    assert.match(await refusal(folder.path), /: another process has locked it: stop that one/);
  }
  const expected = await mapIn(path);
  const whole = await Deno.readFile(path);
  for (let n = 0; n < damages; n++) {
    const { damaged, what } = damage(whole, chance);
    await using place = await temporaryFolder();
    const copy = join(place.path, "map.sqlite");
    await Deno.writeFile(copy, damaged);
    const found = await mapIn(copy).catch((error: Error) => error);
    if (found instanceof Error) {
      assert.match(found.message, /^Cannot (?:open|read) the store/, `${what}: ${found.message}`);
      if (n === 0) assert.match(await refusal(place.path), /^portolan control-plane: Cannot (?:open|read) the store/);
      tally.count("damages that were refused");
    } else {
      assert.deepEqual(found, expected, `${what}: another map is served`);
      tally.count("damages that changed nothing");
    }
  }
  return tally.figures();
}

/** A page or a sector that holds something else, or one bit that fell over. */
function damage(whole: Uint8Array, chance: Chance): { readonly damaged: Uint8Array; readonly what: string } {
  const damaged = whole.slice();
  const size = chance.pick([4_096, 512, 1]);
  const at = chance.below(whole.length / size) * size;
  if (size === 1) damaged[at] = (whole[at] ?? 0) ^ (1 << chance.below(8));
  else for (let i = at; i < at + size; i++) damaged[i] = chance.below(256);
  return { damaged, what: `${size} bytes at ${at}` };
}

/** What a control plane says that does not start; it says nothing else. */
async function refusal(data: string): Promise<string> {
  const args = ["--data", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--cached-only", "-P=control-plane", "control-plane/main.ts", ...args],
    cwd: ROOT,
  }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 1, said);
  assert.equal(said.trimEnd().split("\n").length, 1, said);
  return said.trimEnd();
}

/** The map that a control plane serves over this file. */
async function mapIn(path: string): Promise<readonly string[]> {
  const args = ["--store", `sqlite:${path}`, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
  const loaded = loadControlPlaneSettings({ args, env: {} });
  if (loaded.kind !== "settings") throw new Error(JSON.stringify(loaded));
  await using running = await startControlPlane({ ...loaded.settings, data: join(path, "..") }, SILENT);
  const [local, other] = await Promise.all(
    ["local", "other"].map((realm) => readMap({ grpc: formatAddress(running.grpc) }, realm, [])),
  );
  return [local, other].flatMap((update) => update?.set.map(({ text }) => text) ?? []);
}
