/** Load over HTTP: many kept connections, each with one request under way. */
import { Connection } from "./connection.ts";
import { spread } from "./measure.ts";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly ms: number;
}

/** What came through, and how long half and 99 % of the requests took at most, in ms. */
export interface Load {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** Sends requests, made by `next`, from this process. */
export async function load({ port, connections, ms }: LoadOptions, next: () => Uint8Array): Promise<Load> {
  const opened = await Promise.all(Array.from({ length: connections }, () => Connection.open(port)));
  const times: number[] = [];
  const begun = performance.now();
  await Promise.all(opened.map(async (connection) => {
    for (let now = begun; now - begun < ms;) {
      await connection.must(next());
      const before = now;
      now = performance.now();
      times.push(now - before);
    }
  }));
  const perSecond = times.length * 1_000 / (performance.now() - begun);
  for (const connection of opened) connection[Symbol.dispose]();
  return { requests: times.length, perSecond, ...spread(times) };
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

/** Reads `path` with wrk, which leaves more of the machine to the server than a client of ours; whole seconds only. */
export async function wrk({ port, connections, ms }: LoadOptions, path: string): Promise<Load> {
  const args = ["-t1", `-c${connections}`, `-d${ms / 1_000}s`, "--latency", `http://127.0.0.1:${port}${path}`];
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
