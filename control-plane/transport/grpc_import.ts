/** `RegistryService.Import`: takes a realm in pieces, and hands it on when all of it is there and right. */
import type { sendUnaryData, ServerReadableStream } from "@grpc/grpc-js";
import type { ImportedService } from "../app/import.ts";
import { Quota } from "../app/quota.ts";
import { Turns } from "../app/turns.ts";
import { parseRealm } from "../domain/names.ts";
import { isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import { serviceBytes } from "../domain/size.ts";
import { Undecodable } from "../../proto/grpc.ts";
import type { ImportRequest } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { addUnknown, optionsOf } from "./decode.ts";
import { importedService, twice } from "./decode_import.ts";
import { internal, peerOf } from "./grpc_calls.ts";
import { writer } from "./orders.ts";
import { keepPlace } from "./grpc_place.ts";
import { Patience } from "./patience.ts";
import type { Ports } from "./ports.ts";
import { grpcStatus } from "./status.ts";
import { Violations } from "./violations.ts";

type ImportCall = ServerReadableStream<ImportRequest | Undecodable, object>;

/** Of one import, far beyond the largest realm that is held; bytes are bounds from above of encoded ones. */
const MOST_SERVICES = 100_000;
const MOST_BYTES = 256 << 20;

/** Imports that are under way at once: of one address, and of all, since each may take that much memory. */
const MOST_OF_ONE = 1;
const MOST_OF_ALL = 3;

/** From one message of an import to the next, in ms: one that stands still keeps its memory and its place. */
const WAIT_MS = 10_000;

class Late extends Error {}

const LATE = { code: "late", message: "Cannot wait for the rest of the import: it comes too slowly" } as const;

interface Shared {
  readonly ofOne: Quota;
  readonly ofAll: Quota;
  /** By realm: two imports of one would mix. */
  readonly turns: Turns;
  readonly patience: Patience;
}

/** `waitMs` is for tests that cannot wait for so long. */
export function importHandler(ports: Ports, waitMs = WAIT_MS) {
  const shared: Shared = {
    ofOne: new Quota(MOST_OF_ONE, "imports"),
    ofAll: new Quota(MOST_OF_ALL, "imports"),
    turns: new Turns(1),
    patience: new Patience(waitMs, () => new Late()),
  };
  return async (call: ImportCall, callback: sendUnaryData<object>) => {
    using _place = keepPlace(call);
    try {
      const answer = await importAll(ports, shared, call);
      if (isRefusal(answer)) callback(grpcStatus(answer));
      else callback(null, answer);
    } catch (error) {
      if (error instanceof Late) callback(grpcStatus(LATE));
      else if (!call.cancelled) callback(internal(ports.log, error));
    }
  };
}

async function importAll(ports: Ports, shared: Shared, call: ImportCall): Promise<object | Refusal> {
  using places = new DisposableStack();
  for (const [quota, who] of [[shared.ofOne, peerOf(call)], [shared.ofAll, "all addresses"]] as const) {
    const place = quota.take(who);
    if (isRefusal(place)) return place;
    places.use(place);
  }
  const pieces: ImportedService[] = [];
  let bytes = 0;
  let first: ImportRequest | undefined;
  for await (const request of inTime(call, shared.patience)) {
    if (request instanceof Undecodable) return refuse("invalid", request.description);
    const before = pieces.length;
    const refusal = first && laterProblem(request) || take(request, pieces);
    if (refusal) return refusal;
    for (const service of pieces.slice(before)) bytes += serviceBytes(service);
    if (pieces.length > MOST_SERVICES || bytes > MOST_BYTES) return TOO_LARGE;
    first ??= { ...request, services: [] };
  }
  const fields = new Violations();
  if (first) addUnknown(fields, first, "");
  const realm = fields.take("realm", parseRealm(first?.realm ?? ""));
  const options = optionsOf(fields, first?.options, false);
  if (options.operationId !== undefined) {
    fields.add("operationId", "expected none: the same import again ends the same");
  }
  twice(fields, pieces.map(({ name }) => name), (i) => `services[${i}].name`);
  const refusal = fields.refusal();
  if (refusal) return refusal;
  using _turn = await shared.turns.take(realm);
  // A stream that breaks off ends like one that is complete: what it brought is not all that it was to bring.
  if (call.cancelled) return refuse("invalid", "Cannot import: the stream ended before its end");
  return await ports.importRealm(writer(options), realm, pieces, first?.force ?? false);
}

/** The messages of a stream. Throws {@link Late}. */
async function* inTime(call: ImportCall, patience: Patience): AsyncGenerator<ImportRequest | Undecodable> {
  const messages: AsyncIterator<ImportRequest | Undecodable> = call[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await patience.wait(messages.next());
      if (done) return;
      yield value;
    }
  } finally {
    // While a message is waited for, this ends no sooner.
    messages.return?.().catch(() => {});
  }
}

function take({ services }: ImportRequest, pieces: ImportedService[]): Refusal | undefined {
  for (const message of services) {
    const service = importedService(message, `services[${pieces.length}]`);
    if (isRefusal(service)) return service;
    pieces.push(service);
  }
  return undefined;
}

const TOO_LARGE = refuse("too_large", `Cannot import more than ${MOST_SERVICES} services or ${MOST_BYTES} bytes`, [
  { field: "services", description: `expected at most ${MOST_SERVICES}, of at most ${MOST_BYTES} bytes together` },
]);

function laterProblem(request: ImportRequest): Refusal | undefined {
  const { realm, force, options } = request;
  const fields = new Violations();
  // Each service is looked at by itself.
  addUnknown(fields, { ...request, services: [] }, "");
  if (realm === "" && !force && options === undefined) return fields.refusal();
  return refuse("invalid", "Cannot import: expected realm, force and options in the first message only");
}
