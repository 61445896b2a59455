import type { DescService } from "@bufbuild/protobuf";
import { connect } from "node:net";
import { DiscoveryService, type GetMapResponse, type Part } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { FleetService, type ListFollowersResponse } from "../proto/gen/portolan/v1/fleet_pb.ts";
import { RegistryService } from "../proto/gen/portolan/v1/registry_pb.ts";
import { type CallOptions, type Client, createClient } from "../proto/grpc.ts";
import { fold, type HeldAt, NOTHING } from "../sdk-ts/fold.ts";
import { EXIT, Failure } from "./command.ts";
import type { At } from "./flags.ts";
import { failureOf, type Hints } from "./refusal.ts";

const CONNECT_MS = 3_000;
/** Of calls that the control plane answers at once. */
export const CALL: CallOptions = { timeoutMs: 10_000 };
/** Of those that may read all that there is. */
export const LONG_CALL: CallOptions = { timeoutMs: 120_000 };

/** The first of the addresses that somebody listens on; exit 3 if there is none. */
export async function reach(addresses: readonly string[]): Promise<string> {
  const problems: string[] = [];
  for (const address of addresses) {
    const problem = await unreachable(address);
    if (problem === undefined) return address;
    problems.push(`${address} (${problem})`);
  }
  const where = problems.join(", ");
  const todo = "start one with ./portolan up, or name another with --control-plane";
  throw new Failure(EXIT.unreachable, `Cannot reach the control plane at ${where}: ${todo}`);
}

/** One write; `what` follows "Cannot" in the sentence about its failure. Answers with the registry's answer. */
export function write<T>(
  addresses: readonly string[],
  what: string,
  request: (registry: Client<typeof RegistryService>, call: CallOptions) => Promise<T>,
  hints: Hints = {},
): Promise<T> {
  return ask(RegistryService, addresses, what, (registry) => request(registry, CALL), hints);
}

/** How a map is read. */
interface Reading {
  /** As it was then. */
  readonly at?: At | undefined;
  readonly call?: CallOptions;
  /** Is told how many services have come so far. */
  readonly heard?: (services: number) => void;
}

/** The map of the realm in the services named (none: all), whole. */
export function readMap(
  addresses: readonly string[],
  realm: string,
  services: readonly string[],
  { at, call = CALL, heard = () => {} }: Reading = {},
): Promise<HeldAt> {
  const what = services.length > 0 ? `read service "${services.join(",")}"` : "read the map";
  return ask(DiscoveryService, addresses, what, async (discovery) => {
    const parts: Part[] = [];
    const answer = discovery.getMap({ scope: { realm, services: [...services] }, ...at }, call);
    let count = 0;
    for await (const { part } of answer as AsyncIterable<GetMapResponse>) {
      if (!part) continue;
      parts.push(part);
      heard(count += part.set.length);
    }
    const folded = fold(NOTHING, parts);
    if (folded.kind === "refused") throw new Failure(EXIT.refused, `Cannot read the map: ${folded.reason}`);
    return folded.held;
  });
}

/** The followers of a realm, and where the map stands. */
export function readFollowers(
  addresses: readonly string[],
  realm: string,
  signal?: AbortSignal,
): Promise<ListFollowersResponse> {
  const call = { ...CALL, ...(signal && { signal }) };
  return ask(FleetService, addresses, "list the followers", (fleet) => fleet.listFollowers({ realm }, call));
}

/** Asks the first control plane that is reached; `what` follows "Cannot" in the sentence about a failure. */
export async function ask<S extends DescService, T>(
  service: S,
  addresses: readonly string[],
  what: string,
  question: (client: Client<S>) => Promise<T>,
  hints: Hints = {},
): Promise<T> {
  const address = await reach(addresses);
  const client = createClient(service, address);
  try {
    return await question(client);
  } catch (error) {
    throw error instanceof Failure ? error : failureOf(error, what, address, hints);
  } finally {
    client.close();
  }
}

/** Why nobody can be reached there. A connection tells it sooner, and in plainer words, than a call would. */
function unreachable(address: string): Promise<string | undefined> {
  const [, host = "", port] = /^\[?(.*?)\]?:([0-9]+)$/.exec(address) ?? [];
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) });
    const end = (problem?: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(problem);
    };
    const timer = setTimeout(() => end("no answer"), CONNECT_MS);
    socket.once("connect", () => end());
    socket.once("error", (error: Error & { code?: string }) => end(PLAIN[error.code ?? ""] ?? error.message));
  });
}

const PLAIN: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ENOTFOUND: "no such host",
  EHOSTUNREACH: "no route to it",
};
