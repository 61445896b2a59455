/** A watch over server-sent events, as a program reads it that knows nothing but HTTP. */
import { fromJson } from "@bufbuild/protobuf";
import { get, type IncomingMessage } from "node:http";
import { type Part, PartSchema } from "../../proto/gen/portolan/v1/discovery_pb.ts";

export interface EventWatchOptions {
  /** Port of HTTP. */
  readonly http: number;
  readonly realm: string;
  readonly services: readonly string[];
  /** The id that came last: `epoch.revision`. */
  readonly lastEventId: string | undefined;
  readonly signal: AbortSignal;
  /** Called with each part, and with its id where it has one; the next one is read when that is done. */
  readonly onPart: (part: Part, id: string | undefined) => Promise<void> | void;
}

/** Reads to the end of the stream: the server's, the connection's or the signal's. */
export async function watchEvents(options: EventWatchOptions): Promise<void> {
  const response = await open(options);
  if (!response) return;
  let rest = "";
  for await (const text of textsOf(response)) {
    const events = (rest + text).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      if (options.signal.aborted) break;
      const { data, id } = fieldsOf(event);
      // Comments keep the connection and say nothing.
      if (data !== undefined) await options.onPart(fromJson(PartSchema, JSON.parse(data)), id);
    }
  }
}

/** The answer; `undefined` where nobody answers. Throws where it is none of a watch. */
async function open({ http: port, realm, services, lastEventId, signal }: EventWatchOptions) {
  const query = services.map((service) => `service=${service}`).join("&");
  const path = `/api/v1/realms/${realm}/watch?${query}`;
  const headers = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  // Not `fetch`: what it reads does not always end when the server was killed.
  const response = await new Promise<IncomingMessage | undefined>((resolve) => {
    const request = get({ host: "127.0.0.1", port, path, headers, agent: false }, resolve);
    request.on("error", () => resolve(undefined));
    signal.addEventListener("abort", () => request.destroy(), { once: true });
  });
  if (response && response.statusCode !== 200) {
    throw new Error(`Cannot watch ${path}: ${response.statusCode} ${await Array.fromAsync(textsOf(response))}`);
  }
  return response;
}

async function* textsOf(response: IncomingMessage): AsyncGenerator<string> {
  response.setEncoding("utf8");
  try {
    for await (const text of response) yield text;
  } catch {
    // The connection ended, from this side or from the other.
  }
}

function fieldsOf(event: string): { readonly data?: string; readonly id?: string } {
  const fields = event.split("\n").map((line) => /^([a-z]*): ?(.*)$/.exec(line)?.slice(1) ?? []);
  return Object.fromEntries(fields.filter(([name]) => name));
}
