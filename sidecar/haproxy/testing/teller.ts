/** A worker's socket without a worker. */

/** Answers every command with `text`, as a worker in its interactive mode. */
export async function startTeller(text: string): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await Deno.makeTempDir({ prefix: "teller-" });
  const path = `${folder}/worker.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const serve = async (connection: Deno.Conn) => {
    const said = connection.readable.pipeThrough(new TextDecoderStream(), { preventCancel: true });
    for await (const lines of said) {
      const answers = `${text}\n> `.repeat(lines.split("\n").length - 1);
      await connection.write(new TextEncoder().encode(answers));
    }
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
