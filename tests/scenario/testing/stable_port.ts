/** Ports of programs that are ended and started again. */

const given = new Set<number>();

/**
 * A free one that nobody else gets. It lies below the ports that outgoing connections are made from: one of those would
 * now and then keep a program that was killed from listening again, or even connect to itself. And it is none that `fetch`
 * refuses to use.
 */
export function stablePort(): number {
  for (;;) {
    const port = 10_100 + Math.floor(Math.random() * 19_900);
    if (given.has(port) || !isFree(port)) continue;
    given.add(port);
    return port;
  }
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}
