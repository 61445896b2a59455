/** Schemathesis, the fuzzer of APIs by their documents, in a Python environment of its own that is made once. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../../../.tools/schemathesis", import.meta.url));
const REQUIREMENTS = fileURLToPath(new URL("requirements.txt", import.meta.url));
const READY = `${FOLDER}/ready`;

/** How long bringing it may take, in ms. */
const MOST_MS = 300_000;

/** The path of its program. Needs the network where it is not there yet, or another version is pinned now. */
export async function broughtSchemathesis(): Promise<string> {
  const pins = await readFile(REQUIREMENTS, "utf8");
  const python = `${FOLDER}/bin/python`;
  const program = `${FOLDER}/bin/schemathesis`;
  const ready = await readFile(READY, "utf8").catch(() => undefined);
  // The Python that it was made with may have gone since.
  if (ready === pins && await run(python, ["--version"]) === undefined) return program;
  await mkdir(FOLDER, { recursive: true });
  await must(
    "python3",
    ["-m", "venv", "--clear", FOLDER],
    "install Python 3.11 or later with venv: apt install python3-venv",
  );
  await writeFile(`${FOLDER}/.gitignore`, "*\n");
  const args = [
    "-m",
    "pip",
    "install",
    "--quiet",
    "--no-input",
    "--no-deps",
    "--only-binary=:all:",
    "-r",
    REQUIREMENTS,
  ];
  await must(python, args, "it needs the network and a package index, once");
  await writeFile(READY, pins);
  return program;
}

async function must(program: string, args: readonly string[], advice: string): Promise<void> {
  const problem = await run(program, args);
  if (problem !== undefined) {
    throw new Error(`Cannot bring schemathesis: ${program} ${args.join(" ")}: ${problem}; ${advice}`);
  }
}

/** What went wrong; nothing if all went well. */
async function run(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const signal = AbortSignal.timeout(MOST_MS);
    const { success, stderr } = await new Deno.Command(program, { args: [...args], stdin: "null", signal }).output();
    return success ? undefined : new TextDecoder().decode(stderr).trim() || "it failed";
  } catch (error) {
    return (error as Error).message;
  }
}
