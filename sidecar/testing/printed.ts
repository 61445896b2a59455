/** What the lines that come from a map may look like, in HAProxy's files and on its socket: nothing else is ours. */

const OPTIONS = "(?: pool-purge-delay 100ms| proto h2)?(?: maxconn [0-9]+)?";
const ANSWER = "http-request return status 503 content-type 'application/problem\\+json' [ -~]*";

const CONFIG_LINE = new RegExp(
  "^(?:" + [
    "",
    "# [a-z0-9-]+: (?:all instances|version [0-9]+)(?:, (?:h2c|tcp|round_robin|ring_hash|[0-9]+ (?:ms|at once|waiting)))*",
    "# spare",
    "backend b[0-9]+ from (?:service|bytes)",
    "  balance (?:roundrobin|hash var\\(txn\\.key\\))",
    "  http-request set-var\\(txn\\.key\\) var\\(txn\\.flow\\) unless { var\\(txn\\.key\\) -m found }",
    "  timeout server [0-9]+ms",
    "  http-request set-timeout server [0-9]+ms if { req\\.fhdr\\(portolan-timeout-ms\\),sub\\([0-9]+\\) gt 0 }",
    "  tcp-request content reject if { avg_queue ge [0-9]+ }",
    `  ${ANSWER} if { avg_queue ge [0-9]+ }`,
    `  server [a-z0-9-]+(?:\\.[0-9]+)? [0-9a-f.:[\\]]+:[0-9]+ weight [0-9]+${OPTIONS}(?: disabled)?`,
  ].join("|") + ")$",
);
const FRONTEND_LINE = /^(?:frontend local\.[a-z0-9-]+ from (?:egress|bytes)| {2}bind 127\.0\.0\.1:[0-9]+)$/;
const MAP_LINE = /^(?:|[a-z0-9.-]+\/(?:p?1[0-9]{0,4} (?:b[0-9]{3,}|no_instances|tcp_only)|s [a-z0-9-]+))$/;
const COMMAND = new RegExp(
  "^(?:" + [
    `add server b[0-9]{3,}/[a-z0-9-]+(?:\\.[0-9]+)? [0-9a-f.:[\\]]+:[0-9]+ weight [0-9]+${OPTIONS}`,
    "set server b[0-9]{3,}/[a-z0-9-]+(?:\\.[0-9]+)? (?:state (?:ready|maint)|weight [0-9]+)",
    "del server b[0-9]{3,}/[a-z0-9-]+(?:\\.[0-9]+)?",
  ].join("|") + ")$",
);

/** A line of the backends that is not of ours; `undefined` if all are. */
export function foreignBackendLine(config: string): string | undefined {
  const from = config.search(/^(?:# [a-z0-9-]+: |# spare$)/m);
  return from < 0 ? undefined : config.slice(from).split("\n").find((text) => !CONFIG_LINE.test(text));
}

/** A listener's line that is not of ours. */
export function foreignListenerLine(config: string): string | undefined {
  return config.split("\n").find((text) =>
    /local\.|^ {2}bind (?!unix)/.test(text) && !/fe_name/.test(text) && !FRONTEND_LINE.test(text)
  );
}

/** A row of the map file that is not of ours. */
export function foreignRow(routes: string): string | undefined {
  return routes.split("\n").find((text) => !MAP_LINE.test(text));
}

/** Whether a command for servers is one, and one only. */
export function isCommand(text: string): boolean {
  return COMMAND.test(text);
}
