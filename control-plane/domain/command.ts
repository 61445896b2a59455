/** What somebody wants, and what the map lets them have. */
import type { InstanceSpec, Status } from "./cluster_map.ts";
import { type ClusterMap, findService } from "./cluster_map.ts";
import { decideAlias, decideNoAlias } from "./decide_alias.ts";
import {
  decideDeregister,
  decideExpire,
  decideHold,
  decideInstances,
  decideRegister,
  decideRelease,
  decideReport,
} from "./decide_instance.ts";
import { decideDelete, decidePut, decideSwitch } from "./decide_service.ts";
import type { Decision, Expected, Target } from "./decision.ts";
import type { AliasName, HostId, InstanceId, LeaseId } from "./names.ts";
import type { Route } from "./route.ts";
import type { ServiceSpec } from "./service_spec.ts";

/** About one service. Only commands of one resource can be conditional. */
export type Command =
  & Target
  & (
    | Conditional & { readonly kind: "register"; readonly instance: InstanceSpec }
    | Conditional & { readonly kind: "deregister"; readonly id: InstanceId }
    | Conditional & { readonly kind: "put_service"; readonly spec: ServiceSpec }
    | Conditional & { readonly kind: "delete_service"; readonly force: boolean }
    | Conditional & { readonly kind: "put_alias"; readonly alias: AliasName; readonly route: Route }
    | Conditional & { readonly kind: "delete_alias"; readonly alias: AliasName }
    | Conditional & { readonly kind: "set_enabled"; readonly enabled: boolean } & Selection
    | Conditional & { readonly kind: "drain" } & Selection
    /** What a lease's holder observes. */
    | { readonly kind: "report"; readonly lease: LeaseId; readonly statuses: ReadonlyMap<InstanceId, Status> }
    /** Removes what these leases hold: they ran out. */
    | { readonly kind: "expire"; readonly leases: ReadonlySet<LeaseId> }
    /** Keeps what these leases hold although they ran out, or sees it come back. */
    | { readonly kind: "hold"; readonly leases: ReadonlySet<LeaseId>; readonly held: boolean }
    /** Removes what is held. */
    | { readonly kind: "release" }
  );

interface Conditional {
  readonly expected?: Expected;
}

/** Which instances: one, those of a host, or neither: for `drain` all of them, for `set_enabled` the service itself. */
export interface Selection {
  readonly id?: InstanceId;
  readonly hostId?: HostId;
}

export type CommandOf<K extends Command["kind"]> = Extract<Command, { readonly kind: K }>;

/** Judges a command by the map alone: the same map and command give the same decision. */
export function decide(map: ClusterMap, command: Command): Decision {
  const service = findService(map, command.realm, command.service);
  switch (command.kind) {
    case "register":
      return decideRegister(command, service);
    case "deregister":
      return decideDeregister(command, service);
    case "set_enabled": {
      if (command.id === undefined && command.hostId === undefined) return decideSwitch(command, service);
      const { enabled } = command;
      // What is switched on is to get calls again.
      return decideInstances(command, service, (one) => ({ enabled, draining: one.draining && !enabled }));
    }
    case "drain":
      return decideInstances(command, service, () => ({ draining: true }));
    case "put_service":
      return decidePut(command, service);
    case "delete_service":
      return decideDelete(command, service);
    case "put_alias":
      return decideAlias(command, service);
    case "delete_alias":
      return decideNoAlias(command, service);
    case "report":
      return decideReport(command, service);
    case "expire":
      return decideExpire(command, service);
    case "hold":
      return decideHold(command, service);
    case "release":
      return decideRelease(command, service);
  }
}
