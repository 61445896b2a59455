/** What a sidecar can be told, by flags, environment or file. */
import {
  type Address,
  address,
  flag,
  type Flags,
  formatAddress,
  isLoopback,
  list,
  loadSettings,
  name,
  optional,
  Problem,
  type Settings,
  type Sources,
  text,
} from "../proto/settings.ts";
import { isIP } from "node:net";
import { hostProblem } from "../proto/names.ts";

export const FLAGS = {
  realm: { hint: "REALM", help: "The realm that is served", env: "PORTOLAN_REALM", fallback: "local", parse: name },
  data: {
    hint: "DIR",
    help: "The folder of the map, and of HAProxy's files and sockets",
    fallback: ".portolan/sidecar",
    parse: text,
  },
  hostId: { hint: "ID", help: "This host's name among the followers, stable over restarts", parse: name },
  zone: { hint: "ZONE", help: "Where this host is", parse: optional(name) },
  services: { hint: "A,B", help: "Services to route to; none: all of the realm", parse: list(name) },
  controlPlane: {
    hint: "HOST:PORT,…",
    help: "Where control planes serve gRPC",
    env: "PORTOLAN_CONTROL_PLANE",
    fallback: "127.0.0.1:7401",
    parse: controlPlanes,
  },
  egress: { hint: "IP:PORT", help: "Where this host's programs call", fallback: "127.0.0.1:7410", parse: bindable },
  admin: { hint: "HOST:PORT", help: "Where health and state are served", fallback: "127.0.0.1:7412", parse: address },
  stopHaproxy: {
    hint: "",
    help: "HAProxy ends with the sidecar; else it goes on, and the next sidecar takes it over",
    parse: flag,
  },
  accessLog: {
    hint: "FILE",
    help: "Where a line of JSON goes for each request that has ended; -: standard output; off: nowhere",
    fallback: "-",
    parse: text,
  },
  insecure: {
    hint: "",
    help: "Serve addresses that other machines reach although nobody must show who they are",
    parse: flag,
  },
  servicesDir: {
    hint: "DIR",
    help: "The folder of this host's services: a file NAME.json for each process, which is registered and checked",
    parse: optional(text),
  },
  advertise: {
    hint: "HOST",
    help: "Where other hosts reach this one's services, unless their files say it; 127.0.0.1 if all is on one machine",
    parse: optional(reachableHost),
  },
} as const satisfies Flags;

export type SidecarSettings = Settings<typeof FLAGS>;

export type LoadedSidecar =
  | { readonly kind: "settings"; readonly settings: SidecarSettings }
  | { readonly kind: "help" }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

/** Reads the settings; all that is wrong with them is reported at once. */
export function loadSidecarSettings(sources: Sources): LoadedSidecar {
  const loaded = loadSettings(FLAGS, sources);
  if (loaded.kind !== "settings") return loaded;
  const { settings, positionals } = loaded;
  const problems = [
    ...positionals.map((word) => `Unexpected argument "${word}"`),
    ...(["egress", "admin"] as const).flatMap((key) => exposed(key, settings[key], settings.insecure)),
    ...unadvertised(settings),
  ];
  return problems.length > 0 ? { kind: "problems", problems } : { kind: "settings", settings };
}

function exposed(key: string, listener: Address, insecure: boolean): readonly string[] {
  if (insecure || isLoopback(listener)) return [];
  return [
    `--${key} "${
      formatAddress(listener)
    }": other machines reach it and no credentials are configured; say --insecure to serve it all the same`,
  ];
}

/** Others would look for this host's services on their own machines. */
function unadvertised({ servicesDir, advertise, controlPlane }: SidecarSettings): readonly string[] {
  const remote = controlPlane.find((one) => {
    const parsed = address(one);
    return parsed instanceof Problem || !isLoopback(parsed);
  });
  if (servicesDir === undefined || advertise !== undefined || remote === undefined) return [];
  return [
    `--services-dir "${servicesDir}": needs --advertise HOST where a control plane is on another machine, as ${remote} is: ` +
    "the address at which other hosts reach this one's services",
  ];
}

function reachableHost(value: string | undefined): string | Problem {
  const problem = hostProblem(value ?? "");
  return problem === undefined ? value ?? "" : new Problem(problem);
}

const LIST = list(reachable);

function controlPlanes(value: string | undefined): readonly string[] | Problem {
  const parsed = LIST(value);
  return parsed instanceof Problem || parsed.length > 0 ? parsed : new Problem("expected HOST:PORT");
}

function reachable(value: string | undefined): string | Problem {
  const parsed = address(value);
  if (parsed instanceof Problem) return parsed;
  return parsed.port === 0 ? new Problem("expected a port from 1 to 65535") : formatAddress(parsed);
}

/** HAProxy never gets names, and needs a port that is known before it starts. */
function bindable(value: string | undefined): Address | Problem {
  const parsed = address(value);
  if (parsed instanceof Problem) return parsed;
  if (parsed.port === 0) return new Problem("expected a port from 1 to 65535");
  if (parsed.host === "localhost") return { ...parsed, host: "127.0.0.1" };
  return isIP(parsed.host) ? parsed : new Problem("expected an IP address and a port");
}
