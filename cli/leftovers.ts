/**
 * Kills what carries `mark` in its environment: programs that children started, in groups of their own, and left behind
 * when they died by force. Where there is no /proc nothing is found.
 */
export async function killLeftovers(mark: string): Promise<void> {
  // By grep: deno lets no program but one with all rights read the environment of others.
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", 'grep -lF "$0" /proc/[0-9]*/environ 2>/dev/null', mark],
    stdin: "null",
    stderr: "null",
  }).output();
  for (const [, pid] of new TextDecoder().decode(stdout).matchAll(/^\/proc\/([0-9]+)\//gm)) {
    try {
      Deno.kill(Number(pid), "SIGKILL");
    } catch (error) {
      // It ended in this moment.
      if (!(error instanceof Deno.errors.NotFound) && !(error instanceof TypeError)) throw error;
    }
  }
}
