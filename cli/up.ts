import { mkdirSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import {
  type Address,
  address,
  type Flag,
  flag,
  type Flags,
  formatAddress,
  integer,
  name,
  optional,
  reachable,
  type Settings,
  text,
} from "../proto/settings.ts";
import { command, EXIT, expectArgs, Failure, type Io } from "./command.ts";
import { requireFree } from "./free_ports.ts";
import { ready } from "./ready.ts";
import { Stack } from "./stack.ts";
import { stopSignal } from "./stop_signal.ts";
import { summary } from "./up_summary.ts";

const ROOT = resolve(import.meta.dirname ?? ".", "..");

const FLAGS = {
  realm: { hint: "REALM", help: "The realm", env: "PORTOLAN_REALM", fallback: "local", parse: name },
  data: { hint: "DIR", help: "Keeps map and logs; default: .portolan in the checkout", parse: (value) => value ?? "" },
  noDemo: { hint: "", help: "Without the demo services", parse: flag },
  http: listener("The control plane's HTTP", "PORTOLAN_HTTP", "127.0.0.1:7400"),
  grpc: listener("The control plane's gRPC", "PORTOLAN_GRPC", "127.0.0.1:7401"),
  egress: listener("Where programs call services", "PORTOLAN_EGRESS", "127.0.0.1:7410"),
  admin: listener("The sidecar's HTTP", "PORTOLAN_ADMIN", "127.0.0.1:7412"),
  store: { hint: "STORE", help: "Where the map is kept; default: a file in DIR", parse: (value) => value ?? "" },
  maxWatches: atMost("The control plane's: watches of one address at once", "PORTOLAN_MAX_WATCHES", 1, 10_000),
  maxRequests: atMost("The control plane's: other requests of one address", "PORTOLAN_MAX_REQUESTS", 2, 1_000),
  hostId: { hint: "ID", help: "The sidecar's: this host's name", fallback: "localhost", parse: name },
  zone: { hint: "ZONE", help: "The sidecar's: where this host is", fallback: "local", parse: name },
  servicesDir: { hint: "DIR", help: "The sidecar's: services of this host, from files", parse: optional(text) },
  advertise: { hint: "HOST", help: "The sidecar's: where other hosts reach them", parse: optional(text) },
  insecure: { hint: "", help: "Serve addresses that other machines reach", parse: flag },
} satisfies Flags;

type UpSettings = Settings<typeof FLAGS>;

export const up = command({
  name: "up",
  summary: "Runs everything on this machine: control plane, sidecar, HAProxy and a demo",
  about: "Prints what to try. Ctrl-C stops everything; the map stays in the data folder.",
  flags: FLAGS,
  example: "./portolan up --no-demo",
  async run({ settings, args }, io) {
    expectArgs(args, "no argument", 0);
    const { http, grpc, egress, admin, realm } = settings;
    requireFree({ http, grpc, egress, admin });
    const data = resolve(settings.data || join(ROOT, ".portolan"));
    const logs = join(data, "logs");
    mkdirSync(logs, { recursive: true });
    const env = {
      PORTOLAN_REALM: realm,
      PORTOLAN_CONTROL_PLANE: reachable(grpc),
      PORTOLAN_SIDECAR: `http://${reachable(egress)}`,
    };
    using stop = stopSignal();
    await runStack(new Stack({ root: ROOT, logs, env }), stop, io, async (stack, signal) => {
      const demo = await startAll(stack, settings, data, signal);
      io.out(summary({ ...settings, data: relative(Deno.cwd(), data) || ".", demo }));
    });
    return EXIT.done;
  },
});

/** Starts the stack and keeps it until it is asked to stop or a part of it breaks; leaves nothing running. */
async function runStack(
  stack: Stack,
  stop: ReturnType<typeof stopSignal>,
  { out, err }: Io,
  start: (stack: Stack, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const starting = new AbortController();
  stop.again.then(() => stack.kill());
  const broken = stack.broken.then(({ child, how }) => {
    err(`${child.tail(20)}\n`);
    // Its usage was ours.
    const exit = how === `code ${EXIT.usage}` ? EXIT.usage : EXIT.refused;
    throw new Failure(exit, `${child.name} ended (${how}), so everything is stopped: its log is ${child.log}`);
  });
  const working = start(stack, starting.signal).then(() => stop.signalled);
  try {
    await Promise.race([working, broken, stop.signalled]);
    out("\nStopping\n");
  } finally {
    starting.abort();
    await stack.stop();
  }
}

const READY_MS = 30_000;
const ROUTED_MS = 10_000;

/** Control plane, then sidecar and demo; answers with whether the demo is there: `none`, `routed` or `silent`. */
async function startAll(stack: Stack, settings: UpSettings, data: string, signal: AbortSignal) {
  const { http, egress, admin, realm, noDemo } = settings;
  stack.start({
    name: "control-plane",
    rank: 0,
    rights: "control-plane",
    main: "control-plane/main.ts",
    args: controlPlaneArgs(settings, data),
  });
  await mustBeReady("control-plane", http, signal);
  stack.start({
    name: "sidecar",
    rank: 1,
    rights: "sidecar",
    main: "sidecar/main.ts",
    args: sidecarArgs(settings, data),
  });
  if (!noDemo) startDemo(stack);
  await mustBeReady("sidecar", admin, signal);
  if (noDemo) return "none" as const;
  // Teams calls identity, so its answer says that both are routed.
  const headers = { "portolan-service": "teams", "portolan-realm": realm };
  const problem = await ready(`http://${reachable(egress)}/`, { headers, withinMs: ROUTED_MS, signal });
  return problem === undefined ? "routed" as const : "silent" as const;
}

/** What the control plane is told. */
function controlPlaneArgs(settings: UpSettings, data: string): string[] {
  const { http, grpc, store, maxWatches, maxRequests, insecure } = settings;
  return [
    ...["--data", join(data, "control-plane"), "--http", formatAddress(http), "--grpc", formatAddress(grpc)],
    ...["--max-watches", `${maxWatches}`, "--max-requests", `${maxRequests}`],
    ...(store ? ["--store", store] : []),
    ...(insecure ? ["--insecure"] : []),
  ];
}

/** What the sidecar is told. */
function sidecarArgs(settings: UpSettings, data: string): string[] {
  const { egress, admin, realm, hostId, zone, servicesDir, advertise, insecure } = settings;
  return [
    ...["--data", join(data, "sidecar"), "--egress", formatAddress(egress), "--admin", formatAddress(admin)],
    ...["--realm", realm, "--host-id", hostId, "--zone", zone, "--stop-haproxy"],
    ...["--access-log", join(data, "logs", "access.log")],
    ...(servicesDir === undefined ? [] : ["--services-dir", resolve(servicesDir)]),
    ...(advertise === undefined ? [] : ["--advertise", advertise]),
    ...(insecure ? ["--insecure"] : []),
  ];
}

/** Identity in two versions, teams in one; each registers itself. */
function startDemo(stack: Stack): void {
  const demo = (service: string, id: string, version: number) =>
    stack.start({
      name: `${service}-${id}`,
      rank: 2,
      rights: "example",
      main: `examples/${service}/main.ts`,
      args: ["--id", id, "--version", `${version}`],
    });
  demo("identity", "one", 1);
  demo("identity", "two", 1);
  demo("identity", "three", 2);
  demo("teams", "one", 1);
}

async function mustBeReady(name: string, at: Address, signal: AbortSignal): Promise<void> {
  const problem = await ready(`http://${reachable(at)}/readyz`, { withinMs: READY_MS, signal });
  if (problem === undefined) return;
  throw new Failure(EXIT.refused, `The ${name} is not ready after ${READY_MS / 1000} s: ${problem}`);
}

function listener(help: string, env: string, fallback: string): Flag<Address> {
  return { hint: "HOST:PORT", help, env, fallback, parse: address };
}

function atMost(help: string, env: string, least: number, usual: number): Flag<number> {
  return { hint: "N", help, env, fallback: `${usual}`, parse: integer(least, 9_999_999) };
}
