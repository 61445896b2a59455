/** `RegistryService`: changes of the map. */
import type * as grpc from "@grpc/grpc-js";
import { isRefusal, type Refusal } from "../domain/refusal.ts";
import type { ReleaseHeldRequest } from "../../proto/gen/portolan/v1/registry_pb.ts";
import {
  deleteAliasOrder,
  deleteServiceOrder,
  deregisterOrder,
  drainOrder,
  type HostOrder,
  type Order,
  putAliasOrder,
  putServiceOrder,
  registerOrder,
  setEnabledOrder,
} from "./decode_registry.ts";
import { unary } from "./grpc_calls.ts";
import { importHandler } from "./grpc_import.ts";
import { execute, releaseHeld } from "./orders.ts";
import type { Ports, Standing } from "./ports.ts";
import { renewHandler } from "./grpc_renew.ts";

/** `streams` holds the renewals that stand. */
export function registryHandlers(ports: Ports, streams: Set<Standing>): grpc.UntypedServiceImplementation {
  const write = <Request>(orderOf: (request: Request) => Order | HostOrder | Refusal) =>
    unary<Request>(ports, async (request) => {
      const order = orderOf(request);
      const outcome = isRefusal(order) ? order : await execute(ports, order);
      return isRefusal(outcome)
        ? outcome
        : { revision: outcome.revision, ...(outcome.lease && { leaseId: outcome.lease }) };
    });
  return {
    register: write(registerOrder),
    deregister: write(deregisterOrder),
    setEnabled: write(setEnabledOrder),
    drain: write(drainOrder),
    putService: write(putServiceOrder),
    deleteService: write(deleteServiceOrder),
    putAlias: write(putAliasOrder),
    deleteAlias: write(deleteAliasOrder),
    releaseHeld: unary(ports, (request: ReleaseHeldRequest) => releaseHeld(ports, request)),
    renew: renewHandler(ports, streams),
    import: importHandler(ports),
  };
}
