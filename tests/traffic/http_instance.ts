/** An instance that speaks HTTP/1.1, HTTP/2 without TLS, and WebSockets. Callers keep connections as they like. */
import { answerText, LAST_LINE, TICK, TICK_MS, ticks } from "./answer.ts";
import type { Arrive, Instance, InstanceSpec } from "./instance.ts";

const encoder = new TextEncoder();

/**
 * Answers everything at once, except `/slow?ms=`, so much later, `/stream?ms=`, which goes on for so long, and `/ws`,
 * a WebSocket that says who it is and then repeats what it is told.
 */
export function startHttpInstance(spec: InstanceSpec, arrive: Arrive): Promise<Instance> {
  const cut = new AbortController();
  const sockets = new Set<WebSocket>();
  let toDrop = 0;
  const options = { hostname: "127.0.0.1", port: 0, signal: cut.signal, onListen() {} };
  const server = Deno.serve(options, async (request, { remoteAddr }) => {
    const id = arrive(request.headers.get("x-request"), remoteAddr.port);
    const url = new URL(request.url);
    if (url.pathname === "/ws") return talk(request, answerText(spec, id), sockets);
    const bytes = request.body ? (await request.bytes()).length : 0;
    const text = answerText(spec, id, bytes);
    if (toDrop > 0) {
      toDrop--;
      return halfOf(text);
    }
    const ms = Number(url.searchParams.get("ms"));
    if (url.pathname === "/stream") return new Response(lines(`${text}\n`, ms));
    if (url.pathname === "/slow") await new Promise((resolve) => setTimeout(resolve, ms));
    return new Response(text);
  });
  return Promise.resolve({
    port: server.addr.port,
    async stop(gently) {
      if (gently) return await server.shutdown();
      cut.abort();
      for (const socket of sockets) socket.close();
      await server.finished;
    },
    drop: (answers) => void (toDrop = answers),
  });
}

function talk(request: Request, greeting: string, sockets: Set<WebSocket>): Response {
  const { socket, response } = Deno.upgradeWebSocket(request);
  sockets.add(socket);
  socket.onopen = () => socket.send(greeting);
  socket.onmessage = ({ data }) => socket.send(data);
  socket.onclose = () => sockets.delete(socket);
  // It closes then.
  socket.onerror = () => {};
  return response;
}

function lines(first: string, ms: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  let timer: ReturnType<typeof setInterval>;
  let left = ticks(ms);
  return new ReadableStream({
    start(out) {
      const say = (text: string) => out.enqueue(encoder.encode(text));
      say(first);
      timer = setInterval(() => {
        try {
          if (left-- > 0) return say(TICK);
          say(LAST_LINE);
          out.close();
        } catch {
          // Who read it has just gone.
        }
        clearInterval(timer);
      }, TICK_MS);
    },
    cancel: () => clearInterval(timer),
  });
}

/** Promises all of a text; the connection ends after half of it. */
function halfOf(text: string): Response {
  const bytes = encoder.encode(text);
  const body = new ReadableStream({
    start: (out) => out.enqueue(bytes.subarray(0, bytes.length / 2)),
    // Asked for more, so the first half is on its way.
    pull: (out) => out.error(new Error("dropped on purpose")),
  }, { highWaterMark: 1 });
  return new Response(body, { headers: { "content-length": `${bytes.length}` } });
}
