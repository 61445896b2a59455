/** A worker's socket without a worker. */

/** Answers every command with `text`, as a worker in its interactive mode. */
export async function startTeller(text: string): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await Deno.makeTempDir({ prefix: "teller-" });
  const path = `${folder}/worker.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const answer = new TextEncoder().encode(`${text}\n> `);
  const serve = async (connection: Deno.Conn) => {
    for await (const _ of connection.readable.values({ preventCancel: true })) await connection.write(answer);
  };
  const served = (async () => {
    const talks: Promise<void>[] = [];
    for await (const connection of listener) talks.push(serve(connection).catch(() => {}));
    await Promise.all(talks);
  })();
  return {
    path,
    async [Symbol.asyncDispose]() {
      listener.close();
      await served;
      await Deno.remove(folder, { recursive: true });
    },
  };
}
