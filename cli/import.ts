import { toJson } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { type ImportResponse, ImportResponseSchema, RegistryService } from "../proto/gen/portolan/v1/registry_pb.ts";
import type { Client } from "../proto/grpc.ts";
import { flag, type Flags } from "../proto/settings.ts";
import { formatPosition } from "../proto/position.ts";
import { command, EXIT, expectArgs, Failure } from "./command.ts";
import { ask } from "./control_plane.ts";
import { words, WRITE, writeOptions } from "./flags.ts";
import { count, WHOLE } from "./format.ts";
import { inGroups, MapProblem, readMapText } from "./map_file.ts";
import { type Progress, progress } from "./progress.ts";

const FLAGS = {
  force: { hint: "", help: "Also if more than 30 % of the realm's instances or services would go", parse: flag },
  ...WRITE,
  // Another realm than the file's is never meant by what happens to stand in the environment.
  realm: { hint: "REALM", help: "The realm to replace; default: the one that the file is of", parse: words },
} satisfies Flags;

export const importMap = command({
  name: "import",
  summary: "Makes a realm what a file of export says",
  args: "(FILE | -)",
  about: `Services that the file does not name are removed. Everything is checked first; - is standard input.
Leases are not taken over: an instance with a ttl stays for that long unless its registrar comes back.`,
  flags: FLAGS,
  example: './portolan import local.json --reason "moved house"',
  async run({ settings, args }, io) {
    const [file = ""] = expectArgs(args, "FILE, or - for standard input", 1);
    const map = readMapText(file === "-" ? await standardInput() : textOf(file));
    if (map instanceof MapProblem) throw new Failure(EXIT.refused, `Cannot import "${file}": ${map.text}`);
    const { force, output, controlPlane } = settings;
    const realm = settings.realm || map.realm;
    using shown = progress(io, "import");
    const first = { realm, force, options: writeOptions(settings) };
    const response = await ask(
      RegistryService,
      controlPlane,
      `import "${file}"`,
      (registry) => send(registry, first, map.services, shown),
      force ? {} : { [status.FAILED_PRECONDITION]: " (--force)" },
    );
    shown[Symbol.dispose]();
    io.out(
      output === "json" ? JSON.stringify(toJson(ImportResponseSchema, response, WHOLE)) + "\n" : said(realm, response),
    );
    return EXIT.done;
  },
});

function said(realm: string, { services, removed, position }: ImportResponse): string {
  const gone = removed > 0 ? `, removed ${removed}` : "";
  const at = position ? ` (position ${formatPosition(position)})` : "";
  return `Imported ${count(services, "service")} into realm "${realm}"${gone}${at}\n`;
}

/** Bytes of services in a message: well below what servers take at once. */
const MESSAGE_BYTES = 512 * 1024;
/** Many steps are committed, whatever the size. */
const IMPORT_MS = 600_000;

async function send(
  registry: Client<typeof RegistryService>,
  first: { realm: string; force: boolean; options: ReturnType<typeof writeOptions> },
  services: readonly Service[],
  shown: Progress,
): Promise<ImportResponse> {
  const { stream, response } = registry.import({ timeoutMs: IMPORT_MS });
  // A refusal may come while there is still something to send.
  let over = false;
  const ended = response.then(() => over = true, () => over = true);
  stream.on("error", () => {});
  let sent = 0;
  for (const message of [first, ...inGroups(services, MESSAGE_BYTES).map((group) => ({ services: [...group] }))]) {
    if (over) break;
    shown.now(`${sent} of ${services.length} services sent`);
    if (!stream.write(message)) await Promise.race([once(stream, "drain"), ended]);
    if ("services" in message) sent += message.services.length;
  }
  stream.end();
  const waiting = setInterval(
    () => shown.now(`${services.length} services sent, waiting for the control plane`),
    1_000,
  );
  return await response.finally(() => clearInterval(waiting));
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    const why = code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a folder" : message;
    throw new Failure(EXIT.refused, `Cannot read "${file}": ${why}`, { cause: error });
  }
}

function standardInput(): Promise<string> {
  return new Response(Deno.stdin.readable).text();
}
