/**
 * Echoes on one port of its address, and keeps one connection to each other address, over which it says something again and
 * again. Prints what comes back: `heard ADDRESS`, or `failed ADDRESS: …`.
 */
const PORT = 7000;
const EVERY_MS = 20;

const [own = "", ...others] = Deno.args;
serve();
await Promise.all(others.map(async (other) => {
  try {
    await talk(other);
  } catch (error) {
    console.log(`failed ${other}: ${error}`);
  }
}));

async function serve(): Promise<void> {
  for await (const connection of Deno.listen({ hostname: own, port: PORT })) {
    connection.readable.pipeTo(connection.writable).catch(() => {});
  }
}

async function talk(other: string): Promise<void> {
  const connection = await connected(other);
  const word = new Uint8Array(1);
  for (;;) {
    await connection.write(word);
    if (await connection.read(word) === null) throw new Error("it ended");
    console.log(`heard ${other}`);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

/** Peers start one after the other. */
async function connected(other: string): Promise<Deno.TcpConn> {
  for (;;) {
    try {
      return await Deno.connect({ hostname: other, port: PORT });
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  }
}
