/**
 * Keeps what is made from the contract in step with it. Without arguments: formats the contract and generates the code.
 * `--check`: says what is not as it should be, and changes nothing. `--baseline`: takes the contract as it is for what no
 * later change may break.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const PROTO = fileURLToPath(new URL(".", import.meta.url));
const BUF = "npm:@bufbuild/buf@1.74.0";
const REGENERATE = "run: deno task generate";

if (import.meta.main) {
  const [mode, ...rest] = Deno.args;
  const jobs: Readonly<Record<string, () => Promise<readonly string[]>>> = {
    "": generate,
    "--check": checkGenerated,
    "--baseline": () => problemsOf([["build", "-o", "baseline.binpb"]], PROTO),
  };
  const job = rest.length === 0 ? jobs[mode ?? ""] : undefined;
  const problems = job ? await job() : [`Cannot use "${Deno.args.join(" ")}": expected --check, --baseline or nothing`];
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length === 0 ? 0 : job ? 1 : 2;
}

async function generate(): Promise<readonly string[]> {
  return await problemsOf([["format", "-w"], ["generate"]], PROTO);
}

/** What is wrong with the contract in `proto` and the code made from it; nothing if all is well. */
export async function checkGenerated(proto = PROTO): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), "generated-"));
  try {
    const [contract, code] = await Promise.all([
      problemsOf([
        ["lint"],
        ["format", "-d", "--exit-code"],
        ["breaking", "--against", "baseline.binpb"],
      ], proto),
      problemsOf([["generate", "-o", folder]], proto),
    ]);
    if (code.length > 0) return [...contract, ...code];
    const stale = await differences(join(folder, "gen"), join(proto, "gen"));
    return [...contract, ...stale.map((file) => `proto/gen/${file} is not what the contract gives: ${REGENERATE}`)];
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Runs buf with each of `commands`; the output of those that fail. */
async function problemsOf(commands: readonly (readonly string[])[], proto: string): Promise<readonly string[]> {
  const problems = [];
  for (const command of commands) {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--cached-only", "-A", BUF, ...command],
      cwd: proto,
      // The code generator is started as `deno`: it shall be this one.
      env: { PATH: [dirname(Deno.execPath()), process.env["PATH"]].join(delimiter) },
    }).output();
    if (success) continue;
    const text = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim()).filter(Boolean).join("\n");
    problems.push(
      `buf ${command.join(" ")}, in proto/, fails${command[0] === "format" ? `: ${REGENERATE}` : ""}\n${text}`,
    );
  }
  return problems;
}

/** Files that only one of two folders has, or whose bytes differ; as paths below the folders, sorted. */
export async function differences(one: string, other: string): Promise<readonly string[]> {
  const files = new Set([...await filesOf(one), ...await filesOf(other)]);
  const read = (folder: string, file: string) => readFile(join(folder, file)).catch(() => undefined);
  const differ = await Promise.all([...files].map(async (file) => {
    const [left, right] = await Promise.all([read(one, file), read(other, file)]);
    return left && right && left.equals(right) ? [] : [file];
  }));
  return differ.flat().sort();
}

async function filesOf(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}
