import { EXIT, Failure, type Io } from "./command.ts";
import { readMap } from "./control_plane.ts";

/** A route that was written. */
interface Written {
  readonly controlPlane: readonly string[];
  readonly realm: string;
  readonly service: string;
  readonly versions: readonly number[];
  readonly revision: bigint;
}

/** Says on standard error where a route leads to nobody: what is named may come later, or be a slip of the hand. */
export async function warnOfNobody(io: Io, command: string, written: Written): Promise<void> {
  try {
    for (const words of await missing(written)) io.err(`portolan ${command}: ${words}\n`);
  } catch (error) {
    // The write is done, whatever becomes of this.
    if (!(error instanceof Failure) || error.exit === EXIT.usage) throw error;
  }
}

async function missing({ controlPlane, realm, service, versions, revision }: Written): Promise<readonly string[]> {
  const read = async (at?: bigint) => {
    const { services } = await readMap(controlPlane, realm, [service], at ? { at: { atRevision: at } } : {});
    return services.get(service);
  };
  const instances = (await read())?.instances ?? [];
  if (instances.length === 0 && (revision === 1n || !await read(revision - 1n))) {
    return [`Service "${service}" is new, and has no instance`];
  }
  const there = new Set(instances.map(({ version }) => version));
  return [...new Set(versions)].filter((version) => !there.has(version))
    .map((version) => `Version ${version} of "${service}" has no instance`);
}
