import assert from "node:assert/strict";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Edge, edgeProblem } from "./layers.ts";

const ROOT = new URL("../", import.meta.url);

Deno.test("every file imports only what its layer may", async () => {
  const files = await sourceFiles();
  assert.ok(files.includes("tests/layers_test.ts"));
  const edges = await edgesOf(files);
  assert.ok(edges.some(({ from, to }) => from === "tests/layers_test.ts" && to === "tests/layers.ts"));
  assert.deepEqual(edges.map(edgeProblem).filter((problem) => problem !== undefined), []);
});

Deno.test("edgeProblem() finds what a layer may not import", () => {
  const forbidden: readonly Edge[] = [
    { from: "control-plane/transport/grpc.ts", to: "control-plane/store/store.ts" },
    { from: "control-plane/app/hub.ts", to: "control-plane/store/sqlite.ts" },
    { from: "control-plane/app/hub.ts", to: "control-plane/transport/decode.ts" },
    { from: "control-plane/domain/change.ts", to: "proto/log.ts" },
    { from: "control-plane/domain/change.ts", to: "node:fs" },
    { from: "control-plane/store/sqlite.ts", to: "control-plane/app/store_keys.ts" },
    { from: "control-plane/main.ts", to: "sdk-ts/follow.ts" },
    { from: "sidecar/main.ts", to: "control-plane/domain/names.ts" },
    { from: "control-plane/main.ts", to: "sidecar/routing/plan.ts" },
    { from: "sidecar/routing/diff.ts", to: "sidecar/haproxy/haproxy.ts" },
    { from: "sidecar/config/print.ts", to: "node:fs" },
    { from: "sdk-ts/follow.ts", to: "cli/main.ts" },
    { from: "proto/grpc.ts", to: "sdk-ts/follow.ts" },
    { from: "cli/main.ts", to: "control-plane/main.ts" },
    { from: "examples/identity.ts", to: "sidecar/main.ts" },
    { from: "control-plane/main.ts", to: "tests/layers.ts" },
    { from: "control-plane/store/sqlite.ts", to: "control-plane/store/suite.ts" },
    { from: "sidecar/main.ts", to: "sidecar/testing/haproxy.ts" },
    { from: "sidecar/main_test.ts", to: "control-plane/main.ts" },
    { from: "sidecar/main_test.ts", to: "tests/layers.ts" },
    { from: "attic/main.ts", to: "proto/log.ts" },
    { from: "cli/main.ts", to: "https://example.com/library.ts" },
  ];
  for (const edge of forbidden) assert.ok(edgeProblem(edge), `${edge.from} imports ${edge.to}`);
});

Deno.test("edgeProblem() lets pass what the layers are for", () => {
  const allowed: readonly Edge[] = [
    { from: "control-plane/transport/grpc.ts", to: "control-plane/app/operations.ts" },
    { from: "control-plane/app/hub.ts", to: "control-plane/store/store.ts" },
    { from: "control-plane/app/hub_test.ts", to: "control-plane/store/memory.ts" },
    { from: "control-plane/store/sqlite_test.ts", to: "control-plane/store/suite.ts" },
    { from: "control-plane/main.ts", to: "control-plane/store/sqlite.ts" },
    { from: "sidecar/routing/diff.ts", to: "sidecar/routing/plan.ts" },
    { from: "sidecar/routing/diff_test.ts", to: "sidecar/haproxy/haproxy.ts" },
    { from: "sidecar/main.ts", to: "sdk-ts/follow.ts" },
    { from: "tests/scenario/up_test.ts", to: "sidecar/main.ts" },
  ];
  for (const edge of allowed) assert.equal(edgeProblem(edge), undefined);
});

/** All TypeScript files of the repository, as paths from its root. */
async function sourceFiles(folder = ""): Promise<readonly string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (name.startsWith(".") || name === "node_modules") continue;
    if (isDirectory) files.push(...await sourceFiles(`${folder}${name}/`));
    else if (/\.[cm]?tsx?$/.test(name)) files.push(folder + name);
  }
  return files;
}

/** The part of `deno info --json` that is looked at. */
interface Graph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly { readonly code?: Target; readonly type?: Target }[];
  }[];
}

interface Target {
  readonly specifier?: string;
  readonly error?: string;
}

/** Imports of code and of types alike, from one graph over all files. */
async function edgesOf(files: readonly string[]): Promise<readonly Edge[]> {
  const all = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const imports = files.map((file) => `import ${JSON.stringify(new URL(file, ROOT).href)};\n`);
    await Deno.writeTextFile(all, imports.join(""));
    const args = ["info", "--json", "--no-lock", "--config", fileURLToPath(new URL("deno.json", ROOT)), all];
    const { stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
    const { modules }: Graph = JSON.parse(new TextDecoder().decode(stdout));
    return modules
      .filter(({ specifier }) => specifier.startsWith(ROOT.href) && specifier !== pathToFileURL(all).href)
      .flatMap(({ specifier, error, dependencies = [] }) => {
        assert.equal(error, undefined);
        const targets = dependencies.flatMap(({ code, type }) => [code, type]).filter((target) => target !== undefined);
        return targets.map((target) => ({ from: name(specifier), to: name(target.specifier ?? target.error ?? "") }));
      });
  } finally {
    await Deno.remove(all);
  }
}

/** A path from the root, or a library without version and entry point. */
function name(specifier: string): string {
  if (specifier.startsWith(ROOT.href)) return specifier.slice(ROOT.href.length);
  return specifier.replace(/^npm:\/?((?:@[^/]+\/)?[^/@]+).*$/, "npm:$1");
}
