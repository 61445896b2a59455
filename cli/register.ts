import { create } from "@bufbuild/protobuf";
import { durationMs, DurationSchema } from "@bufbuild/protobuf/wkt";
import { status } from "@grpc/grpc-js";
import { flag, type Flags, integer, optional, Problem } from "../proto/settings.ts";
import { hostPort } from "./arguments.ts";
import { command, EXIT, expectArgs, Failure } from "./command.ts";
import { write } from "./control_plane.ts";
import { duration, words, WRITE_ONE, writeOptions } from "./flags.ts";
import { formatDuration } from "./format.ts";
import { keepRegistered } from "./keep.ts";
import { wrote } from "./wrote.ts";

const deploy = optional(integer(1, 0xffff_ffff));
const share = optional(integer(0, 256));

const FLAGS = {
  id: { hint: "ID", help: "The instance's id; default: host and port with hyphens", parse: words },
  version: { hint: "N", help: "Number of the deploy that it runs; default 1", parse: deploy },
  weight: { hint: "W", help: "Share of traffic among its peers, 0 to 256; default 100", parse: share },
  zone: { hint: "ZONE", help: "Where it runs", parse: words },
  hostId: { hint: "ID", help: "The host that it runs on", parse: words },
  metadata: { hint: "KEY=VALUE", help: "Whatever else is to be known; again for more", many: true, parse: metadataOf },
  ttl: {
    hint: "15s",
    help: "How long it stays without being renewed; without it, for good",
    parse: optional(duration),
  },
  leaseId: { hint: "ID", help: "Joins this lease, which has the same ttl; default: a new one", parse: words },
  keep: { hint: "", help: "Stays, renews the lease, and deregisters at Ctrl-C", parse: flag },
  ...WRITE_ONE,
} satisfies Flags;

export const register = command({
  name: "register",
  summary: "Puts an instance of a service on the map",
  args: "SERVICE HOST:PORT",
  about: `The first instance creates its service. Registering again replaces what is said here, and keeps \`enabled\`.
With a ttl it prints the lease: who renews that keeps the instance on the map, this command with --keep.`,
  flags: FLAGS,
  example: "./portolan register identity 127.0.0.1:8080 --version 2 --ttl 15s --keep",
  async run({ settings, args }, io) {
    const [service = "", where = ""] = expectArgs(args, "SERVICE HOST:PORT", 2);
    const { realm, output, controlPlane, version, weight, zone, hostId, metadata, leaseId } = settings;
    if (service.includes("/")) {
      throw new Failure(EXIT.usage, `Cannot use "${service}": expected SERVICE, and --id for the instance`);
    }
    const id = settings.id || idOf(where);
    const ttl = settings.ttl && create(DurationSchema, settings.ttl);
    const instance = {
      ...hostPort(where),
      ...(version !== undefined && { version }),
      ...(weight !== undefined && { weight }),
      zone,
      hostId,
      metadata,
    };
    const name = `${service}/${id}`;
    if (settings.keep) {
      refuseWithKeep(settings);
      const { reason } = settings;
      const kept = { ...instance, ...(ttl && { ttlMs: durationMs(ttl) }) };
      await keepRegistered(
        { controlPlanes: controlPlane, realm, service, id, instance: kept, reason },
        where,
        output,
        io,
      );
      return EXIT.done;
    }
    const options = writeOptions(settings);
    const { revision, leaseId: lease } = await write(
      controlPlane,
      `register "${name}"`,
      (registry, call) =>
        registry.register(
          { realm, service, id, instance: { ...instance, ...(ttl && { ttl }) }, leaseId, options },
          call,
        ),
      // The lease, if anything.
      { [status.NOT_FOUND]: "" },
    );
    wrote(io, output, `Registered ${name} at ${where}`, revision, lease ? { leaseId: lease } : {});
    if (lease && ttl && output === "table") {
      const term = `It leaves the map after ${formatDuration(ttl)} unless its lease is renewed, as --keep would do`;
      io.out(`${term}: ${lease}\n`);
    }
    return EXIT.done;
  },
});

/** Who keeps an instance registers it again whenever it is lost, under a lease of its own. */
function refuseWithKeep({ leaseId, operationId, ifRevision }: {
  readonly leaseId: string;
  readonly operationId: string;
  readonly ifRevision: bigint | undefined;
}): void {
  const given = { "--lease-id": leaseId, "--operation-id": operationId, "--if-revision": ifRevision !== undefined };
  for (const [flag, is] of Object.entries(given)) {
    if (is) throw new Failure(EXIT.usage, `${flag}: expected without --keep, which registers as often as it must`);
  }
}

/** `127.0.0.1:8080` → `127-0-0-1-8080`. */
function idOf(where: string): string {
  return where.replace(/[^a-zA-Z0-9]+/g, "-").replace(/^-/, "");
}

function metadataOf(text: string | undefined): Record<string, string> | Problem {
  const pairs = (text ?? "").split("\n").filter(Boolean).map((pair) => /^([^=]+)=(.*)$/s.exec(pair));
  if (pairs.includes(null)) return new Problem("expected KEY=VALUE");
  return Object.fromEntries(pairs.map((pair) => [pair?.[1], pair?.[2]]));
}
