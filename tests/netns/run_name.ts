/** What a run calls all that it makes on the machine, so that a later one knows what a dead one has left. */
import { join } from "node:path";
import { tmpdir } from "node:os";
import { ip, processesIn } from "./ip.ts";

const NAME = /^portolan-netns-([0-9]+)-[0-9a-f]{6}(?:-[a-z0-9-]+)?$/;
const NAMESPACES = "/run/netns";

/** A name for all of one network: says whose it is by its process id. */
export function newRunName(pid = Deno.pid): string {
  const [bits = 0] = crypto.getRandomValues(new Uint32Array(1));
  return `portolan-netns-${pid}-${bits.toString(16).padStart(8, "0").slice(0, 6)}`;
}

/** A run's folder. Short: paths of sockets in it are bounded. */
export function folderOf(run: string): string {
  return join(tmpdir(), run);
}

/** Ends and removes what runs have left whose process is gone: processes, namespaces, folders. Nothing else is touched. */
export async function sweep(): Promise<void> {
  const left = (path: string) => [...names(path)].filter(isLeft);
  for (const namespace of left(NAMESPACES)) await removeNamespace(namespace);
  for (const folder of left(tmpdir())) await Deno.remove(join(tmpdir(), folder), { recursive: true }).catch(ignoreGone);
}

/** Kills whoever lives in a namespace, and removes it. */
export async function removeNamespace(namespace: string): Promise<void> {
  await killAllIn(namespace);
  try {
    await ip(undefined, [`netns del ${namespace}`]);
  } catch (error) {
    // Another one that sweeps was faster.
    if ([...names(NAMESPACES)].includes(namespace)) throw error;
  }
}

/** Kills (-9) all processes of a namespace, and resolves when they are gone. */
async function killAllIn(namespace: string): Promise<void> {
  for (;;) {
    const pids = await processesIn(namespace);
    if (pids.length === 0) return;
    for (const pid of pids) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
    // Who is killed is gone soon; nobody tells when.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function isLeft(name: string): boolean {
  const [, pid] = NAME.exec(name) ?? [];
  return pid !== undefined && !lives(pid);
}

function lives(pid: string): boolean {
  try {
    return Deno.statSync(`/proc/${pid}`).isDirectory;
  } catch {
    return false;
  }
}

function* names(path: string): Generator<string> {
  try {
    for (const { name } of Deno.readDirSync(path)) yield name;
  } catch (error) {
    ignoreGone(error);
  }
}

function ignoreGone(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
