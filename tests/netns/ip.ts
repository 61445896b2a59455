/** iproute2, and what of it this machine permits. */

/** Runs `ip`, one command for each line, and answers with what it prints. Throws with what it says of the first that fails. */
export async function ip(namespace: string | undefined, lines: readonly string[]): Promise<string> {
  if (lines.length === 0) return "";
  const args = [...(namespace === undefined ? [] : ["-n", namespace]), "-batch", "-"];
  const child = new Deno.Command("ip", { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  // It ends at the first command that fails, maybe before it has read them all: its status tells.
  await writer.write(new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""))).catch(() => {});
  await writer.close().catch(() => {});
  const { success, stdout, stderr } = await child.output();
  if (!success) {
    const [said = ""] = new TextDecoder().decode(stderr).split("\n");
    throw new Error(`Cannot do "${lines.join("; ")}": ${said}`, { cause: said });
  }
  return new TextDecoder().decode(stdout);
}

/** Processes that live in a network namespace; none where there is no such namespace. */
export async function processesIn(namespace: string): Promise<readonly number[]> {
  const { stdout } = await new Deno.Command("ip", { args: ["netns", "pids", namespace], stderr: "null" }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "").map(Number);
}

/** Why there can be no network of namespaces on this machine; `undefined`: there can. */
export async function whyNoNetwork(namespace: string): Promise<string | undefined> {
  try {
    await ip(undefined, [`netns add ${namespace}`]);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return "it needs ip: install the package iproute2, for example: sudo apt-get install iproute2";
    }
    return `it needs the right to make network namespaces, as root has it; ip says "${(error as Error).cause}"`;
  }
  try {
    await ip(namespace, ["link add name try type bridge", "link add name one type veth peer name two"]);
    return undefined;
  } catch (error) {
    return `it needs CAP_NET_ADMIN, bridges and veth pairs; ip says "${(error as Error).cause}"`;
  } finally {
    await ip(undefined, [`netns del ${namespace}`]);
  }
}
