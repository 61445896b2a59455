/** A disk of its own for a control plane, as small as one likes, that nobody else sees: a tmpfs in a mount namespace. */
import { Program, record, ROOT } from "../bench/program.ts";
import { temporaryFolder } from "./temporary_folder.ts";

export interface SmallDisk extends AsyncDisposable {
  /** Starts a control plane whose store is on the disk; disposing ends it gently. */
  startPlane(): Promise<AsyncDisposable & { readonly http: number; readonly grpc: string }>;
  /** Leaves so many bytes free, about. */
  fill(free: number): Promise<void>;
  /** Makes all room again that `fill` took. */
  empty(): Promise<void>;
}

/** Why there can be none on this machine. */
export function whyNoSmallDisk(): string | undefined {
  const mount = new Deno.Command("/usr/bin/unshare", { args: ["--mount", "mount", "-t", "tmpfs", "none", "/mnt"] });
  try {
    return mount.outputSync().success ? undefined : "it needs the right to mount a disk: root";
  } catch {
    return "it needs unshare";
  }
}

/** Mounts one of so many bytes, for as long as it is not disposed. */
export async function mountSmallDisk(bytes: number): Promise<SmallDisk> {
  await using mounting = new AsyncDisposableStack();
  const folder = mounting.use(await temporaryFolder());
  const script = `mount -t tmpfs -o size=${bytes} none "$0" && echo '{"pid":'$$'}' && exec sleep 1000000`;
  // The namespace lives as long as this program; its files are reached through it.
  const holder = mounting.use(Program.start("/usr/bin/unshare", ["--mount", "/bin/sh", "-c", script, folder.path]));
  const { pid } = await holder.next((line) => record(line, "pid"));
  const inside = `/proc/${pid}/root${folder.path}`;
  const running = mounting.move();
  return {
    async startPlane() {
      const program = Program.start("/usr/bin/nsenter", [
        `--mount=/proc/${pid}/ns/mnt`,
        ...[Deno.execPath(), "run", "--quiet", "--cached-only", `--config=${ROOT}deno.json`, "-P=control-plane"],
        ...[`${ROOT}control-plane/main.ts`, "--data", folder.path, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"],
      ]);
      const { http, grpc } = await program.next((line) => record(line, "grpc"));
      const ports = { http: Number(String(http).split(":")[1]), grpc: String(grpc) };
      return { ...ports, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
    },
    async fill(free) {
      const room = freeBytes(folder.path, Number(pid)) - free;
      await Deno.writeFile(`${inside}/ballast`, new Uint8Array(Math.max(room, 0)), { append: true });
    },
    empty: () => Deno.remove(`${inside}/ballast`),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function freeBytes(path: string, pid: number): number {
  const args = [`--mount=/proc/${pid}/ns/mnt`, "df", "--output=avail", "--block-size=1", path];
  const { stdout } = new Deno.Command("/usr/bin/nsenter", { args }).outputSync();
  return Number(new TextDecoder().decode(stdout).trim().split("\n")[1]);
}
