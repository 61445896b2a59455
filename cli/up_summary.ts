import { type Address, formatAddress } from "../proto/settings.ts";
import { table } from "./table.ts";

interface Started {
  readonly http: Address;
  readonly grpc: Address;
  readonly egress: Address;
  readonly admin: Address;
  readonly realm: string;
  /** Folder of map and logs, as people here would write it. */
  readonly data: string;
  readonly demo: "none" | "routed" | "silent";
}

/** What `up` says when everything runs: where it is, and three commands to try. */
export function summary({ http, grpc, egress, admin, realm, data, demo }: Started): string {
  const [web, calls] = [formatAddress(http), formatAddress(egress)];
  const flags = [
    grpc.port === 7401 ? "" : ` --control-plane ${formatAddress(grpc)}`,
    realm === "local" ? "" : ` --realm ${realm}`,
  ].join("");
  const rows = [
    ["control plane", `http://${web}, gRPC on ${formatAddress(grpc)}`],
    ["sidecar", `call services through http://${calls}; its own page is http://${formatAddress(admin)}/readyz`],
    ["demo", DEMO[demo]],
    ["data", `${data}: the map is kept there; remove the folder to start with an empty one`],
  ];
  const map = `http://${web}/api/v1/realms/${realm}/services`;
  const put = `curl -X PUT ${map}/map/instances/one -d '{"host":"127.0.0.1","port":${http.port}}'`;
  const tries = [
    ["Call a service by its name", `curl -H 'Portolan-Service: teams' ${calls}/`],
    ["Put an instance on the map, here the port of the control plane itself, then call it", put],
    ["", `curl -H 'Portolan-Service: map' ${calls}/healthz`],
    [
      "Send a tenth of the calls to version 2, or take an instance out",
      `./portolan split identity v1=9000 v2=1000${flags}`,
    ],
    ["", `./portolan disable identity/two${flags}`],
    ["", `./portolan enable identity/two${flags}`],
  ];
  const trial = (demo === "none" ? tries.slice(1, 3) : tries).map(([what, how]) =>
    `${what && `\n# ${what}\n`}${how}\n`
  );
  return `Portolan is up, in realm ${realm}. Ctrl-C stops it.\n\n${table(rows)}${trial.join("")}`;
}

const DEMO = {
  none: "none",
  routed: "identity (versions 1, 1 and 2) and teams, which calls identity by its name",
  silent: "started, and does not answer by its name yet: ./portolan show identity says what the map holds",
} as const;
