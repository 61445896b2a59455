import { type Flags, integer, optional, Problem } from "../proto/settings.ts";
import { hostPort } from "./arguments.ts";
import { command, EXIT, expectArgs, Failure } from "./command.ts";
import { write } from "./control_plane.ts";
import { WRITE } from "./flags.ts";
import { wrote } from "./wrote.ts";

const number = optional(integer(0, 0xffff_ffff));
const words = (value: string | undefined) => value ?? "";

const FLAGS = {
  id: { hint: "ID", help: "The instance's id; default: host and port with hyphens", parse: words },
  version: { hint: "N", help: "Number of the deploy that it runs; default 1", parse: number },
  weight: { hint: "W", help: "Share of traffic among its peers, 0 to 256; default 100", parse: number },
  zone: { hint: "ZONE", help: "Where it runs", parse: words },
  hostId: { hint: "ID", help: "The host that it runs on", parse: words },
  metadata: { hint: "KEY=VALUE", help: "Whatever else is to be known; again for more", many: true, parse: metadataOf },
  ttl: {
    hint: "15s",
    help: "How long it stays without being renewed: refused until leases are served; without it, for good",
    parse: durationOf,
  },
  ...WRITE,
} satisfies Flags;

export const register = command({
  name: "register",
  summary: "Puts an instance of a service on the map",
  args: "SERVICE HOST:PORT",
  about: "The first instance creates its service. Registering again replaces what is said here, and keeps `enabled`.",
  flags: FLAGS,
  example: "./portolan register identity 127.0.0.1:8080 --version 2 --metadata team=login",
  async run({ settings, args }, io) {
    const [service = "", where = ""] = expectArgs(args, "SERVICE HOST:PORT", 2);
    const { realm, reason, output, controlPlane, version, weight, zone, hostId, metadata, ttl } = settings;
    if (service.includes("/")) {
      throw new Failure(EXIT.usage, `Cannot use "${service}": expected SERVICE, and --id for the instance`);
    }
    const { host, port } = hostPort(where);
    const id = settings.id || idOf(where);
    const instance = {
      host,
      port,
      ...(version !== undefined && { version }),
      ...(weight !== undefined && { weight }),
      zone,
      hostId,
      metadata,
      ...(ttl && { ttl }),
    };
    const name = `${service}/${id}`;
    const revision = await write(
      controlPlane,
      `register "${name}"`,
      (registry, call) => registry.register({ realm, service, id, instance, options: { reason } }, call),
    );
    wrote(io, output, `Registered ${name} at ${where}`, revision);
    return EXIT.done;
  },
});

/** `127.0.0.1:8080` → `127-0-0-1-8080`. */
function idOf(where: string): string {
  return where.replace(/[^a-zA-Z0-9]+/g, "-").replace(/^-/, "");
}

function metadataOf(text: string | undefined): Record<string, string> | Problem {
  const pairs = (text ?? "").split("\n").filter(Boolean).map((pair) => /^([^=]+)=(.*)$/s.exec(pair));
  if (pairs.includes(null)) return new Problem("expected KEY=VALUE");
  return Object.fromEntries(pairs.map((pair) => [pair?.[1], pair?.[2]]));
}

function durationOf(text: string | undefined): { seconds: bigint; nanos: number } | undefined | Problem {
  if (text === undefined) return undefined;
  const [, seconds, fraction = ""] = /^([0-9]{1,9})(?:\.([0-9]{1,9}))?s$/.exec(text) ?? [];
  if (seconds === undefined) return new Problem("expected seconds, as in 15s");
  return { seconds: BigInt(seconds), nanos: Number(fraction.padEnd(9, "0")) };
}
