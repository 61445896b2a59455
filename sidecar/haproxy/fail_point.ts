/** Ends the sidecar between two steps, as a crash would: tests try out every one. */

/** A step's name, or how many steps are done; none unless a test says so. */
const last = Deno.env.get("PORTOLAN_FAIL_STEP");
let done = 0;

/** A step of changing files, or HAProxy, has been done. */
export function failPoint(step: string): void {
  if (last === undefined || (last !== step && last !== String(++done))) return;
  Deno.stderr.writeSync(new TextEncoder().encode(`killed after ${step}\n`));
  Deno.kill(Deno.pid, "SIGKILL");
}
