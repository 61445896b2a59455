/** `RegistryService`: changes of the map. */
import type * as grpc from "@grpc/grpc-js";
import type { Written } from "../app/operations.ts";
import { parseRealm } from "../domain/names.ts";
import { isRefusal, type Refusal } from "../domain/refusal.ts";
import type { ReleaseHeldRequest } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { addUnknown, optionsOf } from "./decode.ts";
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
import { unary, writer } from "./grpc_calls.ts";
import { importHandler } from "./import.ts";
import type { Ports, Standing } from "./ports.ts";
import { renewHandler } from "./renew.ts";
import { Violations } from "./violations.ts";

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

/** Does what an order says, whichever transport brought it. */
export function execute(
  { operations }: Pick<Ports, "operations">,
  order: Order | HostOrder,
): Promise<Written | Refusal> {
  const caller = writer(order);
  if (order.kind === "host") return operations.executeHost(caller, order.realm, order.hostId, order.command);
  return operations.execute(caller, order.command, order.lease);
}

/** Lets go what is held in a realm. */
export async function releaseHeld(
  { operations }: Pick<Ports, "operations">,
  request: ReleaseHeldRequest,
) {
  const fields = new Violations();
  addUnknown(fields, request, "");
  const realm = fields.take("realm", parseRealm(request.realm));
  const options = optionsOf(fields, request.options, false);
  if (options.operationId !== undefined) fields.add("operationId", "expected none: it ends by itself");
  return fields.refusal() ?? await operations.releaseHeld(writer(options), realm);
}
