/** Load over HTTP: many kept connections, each with one request under way. */
import { Connection } from "./connection.ts";
import { spread } from "./measure.ts";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly ms: number;
  /** Whether each request has a connection of its own; default: they are kept. */
  readonly fresh?: boolean;
}

/** What came through, and how long half and 99 % of the requests took at most, in ms. */
export interface Load {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** Sends requests, made by `next`, from this process. */
export async function load({ port, connections, ms, fresh }: LoadOptions, next: () => Uint8Array): Promise<Load> {
  const opened = await Promise.all(Array.from({ length: connections }, () => Connection.open(port)));
  const times: number[] = [];
  const begun = performance.now();
  await Promise.all(opened.map(async (connection) => {
    for (let now = begun; now - begun < ms;) {
      if (fresh) await once(port, next());
      else await connection.must(next());
      const before = now;
      now = performance.now();
      times.push(now - before);
    }
  }));
  const perSecond = times.length * 1_000 / (performance.now() - begun);
  for (const connection of opened) connection[Symbol.dispose]();
  return { requests: times.length, perSecond, ...spread(times) };
}

async function once(port: number, bytes: Uint8Array): Promise<void> {
  using connection = await Connection.open(port);
  await connection.must(bytes);
}

/** Sends so many requests a second from this process, each at its time, as long as the ones before it have been answered. */
export async function paced(
  { port, connections, ms }: LoadOptions,
  perSecond: number,
  next: () => Uint8Array,
): Promise<number> {
  const opened = await Promise.all(Array.from({ length: connections }, () => Connection.open(port)));
  const begun = performance.now();
  let sent = 0;
  await Promise.all(opened.map(async (connection) => {
    for (let due = 0; (due = sent++ * 1_000 / perSecond) < ms;) {
      const early = begun + due - performance.now();
      if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
      await connection.must(next());
    }
  }));
  for (const connection of opened) connection[Symbol.dispose]();
  return sent - connections;
}

/** Calls from this process, so many at once. */
export async function calls(
  { connections, ms }: Omit<LoadOptions, "port">,
  call: () => Promise<unknown>,
): Promise<Load> {
  const times: number[] = [];
  const begun = performance.now();
  await Promise.all(Array.from({ length: connections }, async () => {
    for (let now = begun; now - begun < ms;) {
      const before = performance.now();
      await call();
      now = performance.now();
      times.push(now - before);
    }
  }));
  const perSecond = times.length * 1_000 / (performance.now() - begun);
  return { requests: times.length, perSecond, ...spread(times) };
}

export interface WrkOptions extends Omit<LoadOptions, "fresh"> {
  readonly headers?: Readonly<Record<string, string>>;
  /** A file in Lua that makes the requests. */
  readonly script?: string;
}

/** Whether wrk is there, and can be asked for a load of so many ms: it knows whole seconds only. */
export function hasWrk(ms: number): boolean {
  return versionOf("wrk") !== "none" && ms % 1_000 === 0;
}

/** Reads `path` with wrk, which leaves more of the machine to the server than a client of ours. */
export async function wrk({ port, connections, ms, headers = {}, script }: WrkOptions, path: string): Promise<Load> {
  const args = [
    ...["-t1", `-c${connections}`, `-d${ms / 1_000}s`, "--latency"],
    ...Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]),
    ...(script === undefined ? [] : ["-s", script]),
    `http://127.0.0.1:${port}${path}`,
  ];
  const { stdout } = await new Deno.Command("wrk", { args }).output();
  const text = new TextDecoder().decode(stdout);
  if (text.includes("Non-2xx")) throw new Error(`Cannot go on: wrk says "${text}"`);
  const time = (percent: number) => {
    const [, value, unit = ""] = new RegExp(`${percent}% +([0-9.]+)(us|ms|s)`).exec(text) ?? [];
    return Number(value) * ({ us: 0.001, ms: 1, s: 1_000 }[unit] ?? NaN);
  };
  const requests = Number(/([0-9]+) requests in/.exec(text)?.[1]);
  return { requests, perSecond: Number(/Requests\/sec: +([0-9.]+)/.exec(text)?.[1]), p50: time(50), p99: time(99) };
}

/** Of a program; `none` where it is not installed. */
export function versionOf(command: "wrk" | "haproxy"): string {
  try {
    const { stdout } = new Deno.Command(command, { args: ["-v"] }).outputSync();
    return /[0-9]+(\.[0-9]+)+/.exec(new TextDecoder().decode(stdout))?.[0] ?? "unknown";
  } catch {
    return "none";
  }
}
