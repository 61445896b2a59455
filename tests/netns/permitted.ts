/** Whether tests can have networks of their own here, and what becomes of them where they cannot. */
import { whyNoNetwork } from "./ip.ts";
import { newRunName } from "./run_name.ts";

const why = await whyNoNetwork(`${newRunName()}-try`);

/**
 * A test that needs a network. Where there can be none it is ignored, and its name says why; but not where `CI` is set:
 * there it fails.
 */
export function networkTest(name: string, fn: () => Promise<void>): void {
  if (why === undefined) Deno.test(name, fn);
  else {
    const isAsked = Deno.env.get("CI") !== undefined;
    const fail = () => Promise.reject(new Error(`Cannot make a network of hosts: ${why}`));
    Deno.test({ name: `${name} (not here: ${why})`, ignore: !isAsked, fn: fail });
  }
}
