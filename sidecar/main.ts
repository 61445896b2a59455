/** The sidecar: follows the cluster map and keeps a local HAProxy in step with it. */
import { createLog } from "../proto/log.ts";
import { COMMON, describeFlags } from "../proto/settings.ts";
import { FLAGS, loadSidecarSettings } from "./settings.ts";
import { runSidecar } from "./sidecar.ts";

const HELP = `The sidecar: follows the cluster map and routes this host's calls by it, through a HAProxy of its own.

Usage: ./portolan sidecar --host-id ID [flags]

${describeFlags({ ...FLAGS, ...COMMON })}
Example: ./portolan sidecar --realm testing --host-id web-1 --zone a --control-plane 10.0.0.1:7401,10.0.0.2:7401
`;

async function main(): Promise<number> {
  const loaded = loadSidecarSettings({ args: Deno.args, env: Deno.env.toObject(), readFile: Deno.readTextFileSync });
  if (loaded.kind === "help") {
    console.log(HELP);
    return 0;
  }
  if (loaded.kind === "problems") {
    for (const problem of loaded.problems) console.error(`portolan sidecar: ${problem}`);
    console.error("portolan sidecar: see ./portolan sidecar --help");
    return 2;
  }
  const stop = new AbortController();
  // Every further signal finds the stop under way: it is bounded, and cut short it would leave HAProxy behind.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(signal, () => stop.abort());
  try {
    await runSidecar(loaded.settings, createLog("sidecar"), stop.signal);
    return 0;
  } catch (error) {
    console.error(`portolan sidecar: ${(error as Error).message}`);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main());
