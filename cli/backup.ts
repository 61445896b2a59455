import { type Flags, reachable } from "../proto/settings.ts";
import { command, EXIT, expectArgs, Failure } from "./command.ts";
import { HTTP, READ } from "./flags.ts";
import { progress } from "./progress.ts";
import { writeWhole } from "./written_file.ts";

const FLAGS = { http: HTTP, output: READ.output } satisfies Flags;

export const backup = command({
  name: "backup",
  summary: "Writes a copy of the control plane's store, all realms and the history with it",
  args: "FILE",
  about:
    `The file is an SQLite database as of one moment, written whole or not at all. To go back to it, stop the control
plane and start it with --store sqlite:FILE: a new epoch begins, so everybody who watches starts again with that map,
and whoever registers there puts back what it lacks. One realm alone, as text: ./portolan export.`,
  flags: FLAGS,
  example: "./portolan backup map-2026-11-21.sqlite",
  async run({ settings: { http, output }, args }, io) {
    const [file = ""] = expectArgs(args, "FILE", 1);
    if (file === "-") throw new Failure(EXIT.usage, 'argument "-": expected FILE: a database is no text');
    const at = reachable(http);
    using shown = progress(io, "backup");
    const body = await ask(at);
    const bytes = await writeWhole(file, counted(body, at, (bytes) => shown.now(`${bytes} bytes`)));
    shown[Symbol.dispose]();
    io.out(output === "json" ? JSON.stringify({ file, bytes }) + "\n" : `Copied ${bytes} bytes to ${file}\n`);
    return EXIT.done;
  },
});

async function ask(at: string): Promise<ReadableStream<Uint8Array>> {
  const response = await fetch(`http://${at}/api/v1/backup`).catch((error) => {
    const todo = "start one with ./portolan up, or name another with --http";
    throw new Failure(EXIT.unreachable, `Cannot reach the control plane at ${at}: ${todo}`, { cause: error });
  });
  if (response.ok && response.body) return response.body;
  const body = await response.text();
  throw new Failure(
    response.status === 503 ? EXIT.unreachable : EXIT.refused,
    `Cannot back up the control plane at ${at}: ${detailOf(body) ?? `it answers ${response.status}`}`,
  );
}

/** The bytes as they come; that they all have come is HTTP's to say. */
async function* counted(body: ReadableStream<Uint8Array>, at: string, say: (bytes: number) => void) {
  let bytes = 0;
  try {
    for await (const chunk of body) {
      say(bytes += chunk.length);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    const why = `the connection to ${at} broke after ${bytes} bytes; try again`;
    throw new Failure(EXIT.unreachable, `Cannot back up the control plane: ${why}`, { cause: error });
  }
}

/** The sentence of a problem (RFC 9457), if it is one. */
function detailOf(body: string): string | undefined {
  try {
    const { detail } = JSON.parse(body);
    return typeof detail === "string" ? detail : undefined;
  } catch {
    return undefined;
  }
}
