/** The whole of a haproxy.cfg from a template, as people have it made who have no more than a list of services. */

/** A service as it comes as JSON, and as a message. */
export interface TemplateService {
  readonly name: string;
  readonly instances?: readonly TemplateInstance[];
  readonly aliases?: readonly { readonly name: string; readonly route?: { readonly version?: number } | undefined }[];
}

interface TemplateInstance {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly version?: number;
}

export interface TemplateFiles {
  readonly config: string;
  /** Of names to backends, to be put beside it as `routes.map`. */
  readonly routes: string;
}

/** A backend for each service and each version of it; names lead to what `live` says, else to all instances. */
export function fillTemplate(services: Iterable<TemplateService>, port: number): TemplateFiles {
  const backends: string[] = [headText(port)];
  const routes: string[] = [];
  for (const { name, instances = [], aliases = [] } of services) {
    backends.push(backendText(name, instances));
    for (const version of new Set(instances.map((instance) => instance.version))) {
      backends.push(backendText(`v${version}.${name}`, instances.filter((instance) => instance.version === version)));
      routes.push(`v${version}.${name} v${version}.${name}\n`);
    }
    const live = aliases.find((alias) => alias.name === "live")?.route?.version;
    routes.push(`${name} ${live === undefined ? name : `v${live}.${name}`}\n`);
    for (const alias of aliases) routes.push(`${alias.name}.${name} v${alias.route?.version}.${name}\n`);
  }
  return { config: backends.join(""), routes: routes.join("") };
}

function backendText(name: string, instances: readonly TemplateInstance[]): string {
  const servers = instances.map(({ id, host, port }) => `  server ${id} ${host}:${port}\n`).join("");
  return `backend ${name}\n${servers}`;
}

function headText(port: number): string {
  return `
global
  hard-stop-after 10s
  mworker-max-reloads 1000
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  option idle-close-on-response
  balance random(2)
frontend egress
  bind 127.0.0.1:${port}
  use_backend %[req.fhdr(portolan-service),map(routes.map)]
  default_backend none
backend none
  http-request return status 404
`;
}
