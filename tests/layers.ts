/** Which file may import what: the layers of the repository as a table, and the check that holds files to it. */

/** Files and what they may import. Names that end in `/` or `:` stand for everything that begins so. */
interface Room {
  readonly files: readonly string[];
  readonly imports: readonly string[];
}

const LIBRARIES = ["npm:", "node:"];

/** No input or output, no clock, no chance: these hold what Portolan is, and are tested as functions. */
export const PURE: readonly string[] = [
  "proto/limits.ts",
  "proto/names.ts",
  "proto/position.ts",
  "control-plane/domain/",
  "sidecar/routing/",
  "sidecar/config/",
  "sidecar/haproxy/columns.ts",
  "sidecar/haproxy/command_text.ts",
  "sidecar/access/ended.ts",
  "sidecar/access/target.ts",
  "sidecar/admin/stat_rows.ts",
  "sidecar/admin/stats.ts",
  "sidecar/admin/sum.ts",
  "sidecar/registrar/check.ts",
  "sidecar/registrar/instance_spec.ts",
  "sidecar/registrar/roll.ts",
  "sidecar/registrar/service_file.ts",
  "sdk-ts/address.ts",
  "sdk-ts/fold.ts",
  "sdk-ts/old_epoch.ts",
  "sdk-ts/ejection.ts",
  "sdk-ts/hash32.ts",
];

const PURE_SIDECAR = PURE.filter((file) => file.startsWith("sidecar/"));
const PURE_SDK = PURE.filter((file) => file.startsWith("sdk-ts/"));

// Messages, names and addresses as functions; `node:net` tells IP literals, `node:zlib` makes checksums.
const PURE_IMPORTS = [
  "proto/gen/",
  "proto/limits.ts",
  "proto/names.ts",
  "proto/position.ts",
  "proto/settings.ts",
  "npm:@bufbuild/protobuf",
  "node:net",
  "node:zlib",
];

/** The first that a file fits into counts. */
const ROOMS: readonly Room[] = [
  { files: ["proto/gen/"], imports: ["proto/gen/", "npm:@bufbuild/protobuf"] },
  // Nothing but a test for IP literals: every room may use them, the pure ones too.
  { files: ["proto/limits.ts", "proto/names.ts", "proto/position.ts"], imports: ["node:net"] },
  { files: ["proto/"], imports: ["proto/", ...LIBRARIES] },

  { files: ["control-plane/domain/"], imports: ["control-plane/domain/", "proto/limits.ts", "proto/names.ts"] },
  { files: ["control-plane/store/store.ts"], imports: ["control-plane/domain/"] },
  { files: ["control-plane/store/"], imports: ["control-plane/store/", "control-plane/domain/", ...LIBRARIES] },
  {
    files: ["control-plane/app/"],
    imports: [
      "control-plane/app/",
      "control-plane/domain/",
      "control-plane/store/store.ts",
      "proto/log.ts",
      "proto/sleep.ts",
    ],
  },
  {
    files: ["control-plane/transport/"],
    imports: ["control-plane/transport/", "control-plane/app/", "control-plane/domain/", "proto/", ...LIBRARIES],
  },
  { files: ["control-plane/"], imports: ["control-plane/", "proto/", ...LIBRARIES] },

  { files: PURE_SIDECAR, imports: [...PURE_SIDECAR, ...PURE_IMPORTS] },
  { files: ["sidecar/"], imports: ["sidecar/", "sdk-ts/", "proto/", ...LIBRARIES] },

  { files: PURE_SDK, imports: [...PURE_SDK, ...PURE_IMPORTS] },
  { files: ["sdk-ts/"], imports: ["sdk-ts/", "proto/", ...LIBRARIES] },
  { files: ["cli/"], imports: ["cli/", "sdk-ts/", "proto/", ...LIBRARIES] },
  { files: ["examples/"], imports: ["examples/", "sdk-ts/", "proto/gen/", ...LIBRARIES] },
  { files: ["tests/"], imports: [""] },
];

/** One import: both are paths from the root; a library is `node:net` or `npm:hono`, without its version. */
export interface Edge {
  readonly from: string;
  readonly to: string;
}

/** What is wrong with an import, as a sentence; `undefined` for one that is allowed. */
export function edgeProblem({ from, to }: Edge): string | undefined {
  const sentence = (why: string) => `${from} imports ${to}: ${why}`;
  if (isTest(from) && !from.startsWith("tests/")) {
    // Tests may look into every corner of their own room, and use what the room as a whole may use.
    const room = roomOf(from.slice(0, from.indexOf("/") + 1));
    return fits(to, room?.imports ?? [])
      ? undefined
      : sentence("tests may import their own room and what it may import");
  }
  const room = roomOf(from);
  if (room === undefined) return `${from} is in no room of tests/layers.ts`;
  if (isTest(to) && !from.startsWith("tests/")) return sentence("only tests import tests");
  return fits(to, room.imports) ? undefined : sentence(`expected ${room.imports.join(", ")}`);
}

/** Whether a file is there for tests alone: a test, a suite, what they share. */
export function isTest(file: string): boolean {
  return file.startsWith("tests/") || /_test\.ts$|(?:^|\/)(?:suite(?:_\w+)?\.ts$|testing\.ts$|testing\/)/.test(file);
}

/** Whether a file, by its path from the root, has to do without input, output, clock and chance. */
export function isPure(file: string): boolean {
  return fits(file, PURE) && !isTest(file);
}

function roomOf(file: string): Room | undefined {
  return ROOMS.find(({ files }) => fits(file, files));
}

function fits(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => name === pattern || (/^$|[/:]$/.test(pattern) && name.startsWith(pattern)));
}
