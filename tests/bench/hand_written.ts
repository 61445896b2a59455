/**
 * The HAProxy that somebody who knows it well writes by hand for the same job: names to backends by a map, connections
 * to instances kept, the same timeouts, the same log line in the same way to a reader on this machine.
 */
import { join } from "node:path";
import { requestFormat } from "../../sidecar/config/access_format.ts";
import { TIMEOUTS } from "../../sidecar/config/print_base.ts";
import { BareHaproxy } from "./haproxy.ts";
import { startLogReader } from "./log_reader.ts";
import type { Costs } from "./program.ts";

export interface Served {
  /** Named `s0`…, of as many instances each, all of which are at the same port. */
  readonly services: number;
  readonly instances: number;
  readonly port: number;
}

export interface HandWritten {
  readonly haproxy: BareHaproxy;
  /** Of its log, which it throws away. */
  readonly reader: Costs;
}

/** Starts both. */
export async function startHandWritten(
  folder: string,
  served: Served,
  used: AsyncDisposableStack,
): Promise<HandWritten> {
  const names = Array.from({ length: served.services }, (_, n) => `s${n}`);
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(join(folder, "names.map"), names.map((name) => `${name} ${name}\n`).join(""));
  const reader = used.use(await startLogReader(join(folder, "log.sock")));
  const backends = names.map((name) => `backend ${name}\n${servers(served)}`).join("");
  return { haproxy: used.use(await BareHaproxy.start(folder, (port) => frontendText(port) + backends)), reader };
}

function servers({ instances, port }: Served): string {
  return Array.from({ length: instances }, (_, n) => `  server i${n} 127.0.0.1:${port}\n`).join("");
}

function frontendText(port: number): string {
  return `
defaults
  mode http
  timeout connect ${TIMEOUTS.connectMs}ms
  timeout queue ${TIMEOUTS.connectMs}ms
  timeout http-request ${TIMEOUTS.requestMs}ms
  timeout http-keep-alive ${TIMEOUTS.keepAliveMs}ms
  timeout client ${TIMEOUTS.answerMs}ms
  timeout server ${TIMEOUTS.answerMs}ms
  timeout tunnel ${TIMEOUTS.tunnelMs}ms
  option idle-close-on-response
  balance random(2)
frontend egress
  bind 127.0.0.1:${port}
  log unix@log.sock len 8192 format raw local0
${logFormat()}
${CAPTURED.map((header) => `  http-request capture req.fhdr(${header}) len 64\n`).join("")}
  capture response header Retry-After len 8
  use_backend %[req.fhdr(portolan-service),map(names.map)]
`;
}

const CAPTURED = ["portolan-service", "portolan-flow", "portolan-call", "portolan-attempt"];
/** Variables of the sidecar's format, in the order of what is captured here instead. */
const VARIABLES = ["route", "flow", "call", "attempt"];

/** The very line that the sidecar has HAProxy write, from captured headers. */
function logFormat(): string {
  const format = VARIABLES.reduce(
    (text, name, n) => text.replace(`var(txn.${name})`, `capture.req.hdr(${n})`),
    requestFormat().text.replace("var(txn.later)", "capture.res.hdr(0)"),
  );
  if (format.includes("var(")) throw new Error(`Cannot write the log's format by hand: ${format}`);
  return format;
}
