import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { startedControlPlane } from "../control_plane.ts";
import { broughtSchemathesis } from "./schemathesis.ts";

const SEED = Deno.env.get("PORTOLAN_FUZZ_SEED") ?? String(Math.floor(Math.random() * 2 ** 31));
const CONFIG = fileURLToPath(new URL("schemathesis.toml", import.meta.url));
const HOOKS = fileURLToPath(new URL("hooks.py", import.meta.url));

/** Of the fuzzing alone, in seconds. */
const BUDGET = 45;

Deno.test("the HTTP API does what its document says, whatever it is asked", async () => {
  const program = await broughtSchemathesis();
  let fuzzed = { success: false, text: "" };
  try {
    await using plane = await startedControlPlane();
    fuzzed = await fuzz(program, plane.http);
  } catch (error) {
    // What was logged belongs to what was asked.
    throw new Error(`${(error as Error).message}, with PORTOLAN_FUZZ_SEED=${SEED}:\n${fuzzed.text}`);
  }
  const { success, text } = fuzzed;
  assert.ok(success, `with PORTOLAN_FUZZ_SEED=${SEED}:\n${text}`);
  const [, selected, all] = /Operations: +(\d+) selected \/ (\d+) total/.exec(text) ?? [];
  const [, cases] = /(\d+) generated/.exec(text) ?? [];
  assert.ok(selected === all && Number(all) > 30 && Number(cases) > 1_000, text);
});

async function fuzz(program: string, url: string): Promise<{ success: boolean; text: string }> {
  const folder = await Deno.makeTempDir({ prefix: "portolan-openapi-" });
  try {
    const document = await (await fetch(`${url}/api/v1/openapi.json`)).json();
    // Hosts of exactly 253 characters take the generator most of a minute.
    const text = JSON.stringify(fuzzable(document)).replace('"maxLength":253,', "");
    await Deno.writeTextFile(`${folder}/openapi.json`, text);
    const options = ["--checks=all", `--max-time=${BUDGET}`, `--seed=${SEED}`, "--no-color"];
    const { success, stdout, stderr } = await new Deno.Command(program, {
      args: [`--config-file=${CONFIG}`, "run", "openapi.json", `--url=${url}`, ...options],
      // It keeps what it learns of Unicode where it stands.
      cwd: folder,
      env: {
        SCHEMATHESIS_HOOKS: HOOKS,
        PYTHONDONTWRITEBYTECODE: "1",
        NO_PROXY: "127.0.0.1",
        no_proxy: "127.0.0.1",
      },
      stdin: "null",
    }).output();
    return { success, text: [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("") };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** As much of a document as is looked at. */
interface Document {
  readonly paths: Readonly<Record<string, unknown>>;
  readonly components: { readonly schemas: Readonly<Record<string, { type?: unknown; properties?: unknown }>> };
}

/** The document without what has no end, and strict: nothing comes back today that it does not name. */
function fuzzable({ paths, components, ...document }: Document): Document {
  const { ["/api/v1/realms/{realm}/watch"]: _, ...ending } = paths;
  const strict = Object.entries(components.schemas).map(([name, schema]) => [
    name,
    schema.type === "object" && schema.properties ? { ...schema, additionalProperties: false } : schema,
  ]);
  return { ...document, paths: ending, components: { ...components, schemas: Object.fromEntries(strict) } };
}
