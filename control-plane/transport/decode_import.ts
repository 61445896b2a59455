/** Whole services of an import as the domain has them. */
import type { ImportedService } from "../app/import.ts";
import { parseAliasName, parseInstanceId, parseServiceName } from "../domain/names.ts";
import type { Refusal } from "../domain/refusal.ts";
import {
  type Instance as InstanceMessage,
  Instance_Status,
  type Service as ServiceMessage,
} from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { addUnknown } from "./decode.ts";
import { instanceOf, metadataProblem, STATUSES } from "./decode_registry.ts";
import { routeOf, specOf } from "./decode_spec.ts";
import { Violations } from "./violations.ts";

/** A whole service, as an import brings it; `path` stands before the names of its fields. */
export function importedService(service: ServiceMessage, path: string): ImportedService | Refusal {
  const fields = new Violations();
  addUnknown(fields, service, path);
  const imported: ImportedService = {
    name: fields.take(`${path}.name`, parseServiceName(service.name)),
    enabled: service.enabled,
    spec: specOf(fields, service.spec, `${path}.spec.`),
    instances: service.instances.map((one, i) => importedInstance(fields, one, `${path}.instances[${i}].`)),
    aliases: service.aliases.map(({ name, route }, i) => ({
      name: fields.take(`${path}.aliases[${i}].name`, parseAliasName(name)),
      route: routeOf(fields, route, `${path}.aliases[${i}].route.`),
    })),
  };
  twice(fields, imported.instances.map(({ id }) => id), (i) => `${path}.instances[${i}].id`);
  twice(fields, imported.aliases.map(({ name }) => name), (i) => `${path}.aliases[${i}].name`);
  const large = service.instances.map(({ metadata }, i) =>
    metadataProblem(metadata, `${path}.instances[${i}].metadata`)
  );
  return fields.refusal() ?? large.find((problem) => problem !== undefined) ?? imported;
}

function importedInstance(
  fields: Violations,
  message: InstanceMessage,
  path: string,
): ImportedService["instances"][number] {
  const status = message.status === Instance_Status.STATUS_UNSPECIFIED ? "unknown" : STATUSES[message.status];
  if (!status) fields.add(`${path}status`, "expected one of PASSING, FAILING, UNKNOWN");
  return {
    id: fields.take(`${path}id`, parseInstanceId(message.id)),
    ...instanceOf(fields, message, path),
    enabled: message.enabled,
    draining: message.draining,
    status: status ?? "unknown",
    held: false,
  };
}

/** Notes a value that stands twice in a list. */
export function twice(fields: Violations, values: readonly string[], fieldOf: (i: number) => string): void {
  const seen = new Set<string>();
  for (const [i, value] of values.entries()) {
    if (seen.has(value)) fields.add(fieldOf(i), `expected once: "${value}" occurs again`);
    seen.add(value);
  }
}
