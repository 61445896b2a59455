/** Decides what becomes of a service's own fields, and of the service. */
import type { Service } from "./cluster_map.ts";
import type { CommandOf } from "./command.ts";
import {
  accept,
  acceptEach,
  changed,
  type Decision,
  moved,
  noService,
  type OfService,
  tooLarge,
  unchanged,
} from "./decision.ts";
import { refuse } from "./refusal.ts";
import { DEFAULT_SPEC, sameSpec, type ServiceSpec, specBytes } from "./service_spec.ts";

/** What the first write to a service begins with. */
export function beginService(spec: ServiceSpec = DEFAULT_SPEC): OfService {
  return { kind: "put_service", enabled: true, spec };
}

export function decideSwitch(command: CommandOf<"set_enabled">, service: Service | undefined): Decision {
  const refusal = moved(command.expected, service?.specModified, `service "${command.service}"`);
  if (refusal) return refusal;
  if (!service) return noService(command);
  const { enabled } = command;
  // What is switched on drains no more. Its own fields come last: until then the service is as the writer expects it.
  const draining = enabled ? service.instances.filter((one) => one.draining) : [];
  if (draining.length > 0) {
    const decision = acceptEach(command, service, draining, (one) => changed(one, { draining: false }), true);
    return { ...decision, more: decision.more || !service.enabled };
  }
  if (service.enabled === enabled) return unchanged(service.specModified);
  return accept(command, service, { changes: [{ kind: "put_service", enabled, spec: service.spec }] });
}

export function decidePut(command: CommandOf<"put_service">, service: Service | undefined): Decision {
  const { expected, spec } = command;
  const refusal = moved(expected, service?.specModified, `service "${command.service}"`);
  if (refusal) return refusal;
  if (!service) return accept(command, service, { changes: [beginService(spec)] });
  if (sameSpec(service.spec, spec)) return unchanged(service.specModified);
  const growth = specBytes(spec) - specBytes(service.spec);
  return tooLarge(command, service, growth, "spec") ??
    accept(command, service, { changes: [{ kind: "put_service", enabled: service.enabled, spec }], growth });
}

export function decideDelete(command: CommandOf<"delete_service">, service: Service | undefined): Decision {
  const refusal = moved(command.expected, service?.specModified, `service "${command.service}"`);
  if (refusal) return refusal;
  if (!service) return noService(command);
  const { name, instances } = service;
  if (instances.length > 0 && !command.force) {
    const many = instances.length === 1 ? "an instance" : `${instances.length} instances`;
    return refuse("in_use", `Cannot delete service "${name}": it has ${many}; force it if they may go`);
  }
  // Whoever registers meanwhile is not to vanish unseen.
  const relies = command.force ? [] : [{ touch: true as const, revision: service.modified }];
  return accept(command, service, { changes: [{ kind: "delete_service" }], relies });
}
