import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { command, EXIT, Failure, type Io } from "./command.ts";
import { nearest } from "./nearest.ts";
import { type Count, countJunit } from "./junit.ts";

/** One step of the gate: arguments of deno. A step of tests counts its tests, another one counts as one check. */
interface Area {
  readonly name: string;
  readonly args: readonly string[];
  readonly tests?: true;
}

const ROOMS = ["proto", "sdk-ts", "control-plane", "sidecar", "cli", "examples"];
const OFFLINE = ["--cached-only", "--frozen"];
const TESTS = ["test", "-P=test", ...OFFLINE];

/** In the order in which they run: what fails sooner and faster comes first. */
const AREAS: readonly Area[] = [
  { name: "format", args: ["fmt", "--check"] },
  { name: "lint", args: ["lint"] },
  { name: "types", args: ["check", "--frozen", ...ROOMS, "tests"] },
  { name: "generated", args: ["run", "-P=test", ...OFFLINE, "proto/generated.ts", "--check"] },
  { name: "units", args: [...TESTS, ...ROOMS], tests: true },
  { name: "scenarios", args: [...TESTS, "tests/layers_test.ts", "tests/lint", "tests/scenario"], tests: true },
  { name: "hosts", args: [...TESTS, "tests/netns"], tests: true },
  { name: "faults", args: [...TESTS, "tests/traffic", "tests/faults"], tests: true },
];

export const testCommand = command({
  name: "test",
  summary: "Runs the checks and tests that every change must pass",
  args: "[AREA…]",
  about: `An area is one of ${AREAS.map(({ name }) => name).join(", ")}, or a path to tests. Without one: all of them.
The last line is "N passed, N failed".`,
  flags: {},
  example: "./portolan test units",
  async run({ args }, io) {
    const areas = args.length > 0 ? args.map(areaOf) : AREAS;
    const total = { passed: 0, failed: 0 };
    for (const area of areas) {
      const { passed, failed } = await runArea(area, io);
      total.passed += passed;
      total.failed += failed;
    }
    io.out(`${total.passed} passed, ${total.failed} failed\n`);
    return total.failed > 0 ? EXIT.refused : EXIT.done;
  },
});

const ROOT = join(import.meta.dirname ?? ".", "..");

function areaOf(text: string): Area {
  const known = AREAS.find(({ name }) => name === text);
  if (known) return known;
  // A path is as its user sees it, who may stand elsewhere in the checkout.
  const path = [resolve(text), resolve(ROOT, text)].find((path) => existsSync(path));
  if (path) return { name: text, args: [...TESTS, path], tests: true };
  const near = nearest(text, AREAS.map(({ name }) => name));
  const names = near ? `did you mean ${near}` : `expected a path or one of ${AREAS.map(({ name }) => name).join(", ")}`;
  throw new Failure(EXIT.usage, `unknown area "${text}": ${names}`);
}

async function runArea({ name, args, tests }: Area, { out }: Io): Promise<Count> {
  out(`== ${name}: deno ${args.join(" ")}\n`);
  const folder = mkdtempSync(join(tmpdir(), "portolan-test-"));
  try {
    const report = join(folder, "junit.xml");
    const [subcommand = "", ...rest] = args;
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: tests ? [subcommand, `--junit-path=${report}`, ...rest] : [...args],
      cwd: ROOT,
    }).spawn().status;
    const count = tests && existsSync(report) ? countJunit(readFileSync(report, "utf8")) : { passed: 0, failed: 0 };
    if (!tests && success) count.passed = 1;
    // What does not compile, or breaks outside of any test, has no test to its name.
    if (!success && count.failed === 0) count.failed = 1;
    if (!success) out(`== ${name}: failed\n`);
    return count;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
