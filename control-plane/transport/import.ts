/** `RegistryService.Import`: takes a realm in pieces, and hands it on when all of it is there and right. */
import type { sendUnaryData, ServerReadableStream } from "@grpc/grpc-js";
import type { ImportedService } from "../app/import.ts";
import { parseRealm } from "../domain/names.ts";
import { isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import { specBytes } from "../domain/service_spec.ts";
import { aliasBytes, instanceBytes, SERVICE_BYTES } from "../domain/size.ts";
import { Undecodable } from "../../proto/grpc.ts";
import type { ImportRequest } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { addUnknown, optionsOf } from "./decode.ts";
import { importedService } from "./decode_import.ts";
import { internal, writer } from "./grpc_calls.ts";
import type { Ports } from "./ports.ts";
import { grpcStatus } from "./status.ts";
import { Violations } from "./violations.ts";

type ImportCall = ServerReadableStream<ImportRequest | Undecodable, object>;

/** Of one import, far beyond the largest realm that is held; bytes are bounds from above of encoded ones. */
const MOST_SERVICES = 100_000;
const MOST_BYTES = 256 << 20;

export function importHandler(ports: Ports) {
  return async (call: ImportCall, callback: sendUnaryData<object>) => {
    try {
      const answer = await importAll(ports, call);
      if (isRefusal(answer)) callback(grpcStatus(answer));
      else callback(null, answer);
    } catch (error) {
      if (!call.cancelled) callback(internal(ports.log, error));
    }
  };
}

async function importAll(ports: Ports, call: ImportCall): Promise<object | Refusal> {
  const pieces: ImportedService[] = [];
  let bytes = 0;
  let first: ImportRequest | undefined;
  for await (const request of call as AsyncIterable<ImportRequest | Undecodable>) {
    if (request instanceof Undecodable) return refuse("invalid", request.description);
    const before = pieces.length;
    const refusal = first && laterProblem(request) || take(request, pieces);
    if (refusal) return refusal;
    for (const service of pieces.slice(before)) bytes += bytesOf(service);
    if (pieces.length > MOST_SERVICES || bytes > MOST_BYTES) return TOO_LARGE;
    first ??= { ...request, services: [] };
  }
  // A stream that breaks off ends like one that is complete: what it brought is not all that it was to bring.
  if (call.cancelled) return refuse("invalid", "Cannot import: the stream ended before its end");
  const fields = new Violations();
  if (first) addUnknown(fields, first, "");
  const realm = fields.take("realm", parseRealm(first?.realm ?? ""));
  const options = optionsOf(fields, first?.options, false);
  if (options.operationId !== undefined) {
    fields.add("operationId", "expected none: the same import again ends the same");
  }
  const seen = new Set<string>();
  for (const [i, { name }] of pieces.entries()) {
    if (seen.has(name)) fields.add(`services[${i}].name`, `expected once: "${name}" occurs again`);
    seen.add(name);
  }
  return fields.refusal() ??
    await ports.importRealm(writer(options), realm, pieces, first?.force ?? false);
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

function bytesOf({ name, spec, instances, aliases }: ImportedService): number {
  const own = SERVICE_BYTES + name.length + specBytes(spec);
  const all = instances.reduce((sum, instance) => sum + instanceBytes(instance), own);
  return aliases.reduce((sum, alias) => sum + aliasBytes(alias), all);
}

function laterProblem({ realm, force, options }: ImportRequest): Refusal | undefined {
  if (realm === "" && !force && options === undefined) return undefined;
  return refuse("invalid", "Cannot import: expected realm, force and options in the first message only");
}
