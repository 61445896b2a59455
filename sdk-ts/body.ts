/** A body that can be sent again, or a stream that cannot. */
export type Body = Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>;

const MOST_BYTES = 1024 * 1024;

/**
 * Takes the body out of a Request. One that is there already comes as bytes, as `fetch` would send it: with its length,
 * and again after a redirect. One that is still being made goes on as a stream, nothing waits for its end.
 */
export async function takeBody(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Body> {
  const reader = stream.getReader();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (let size = 0; size <= MOST_BYTES;) {
    const reading = reader.read();
    const read = await already(reading);
    if (!read) return goOn(chunks, reading, reader);
    if (read.done) return joined(chunks, size);
    chunks.push(read.value);
    size += read.value.byteLength;
  }
  return goOn(chunks, reader.read(), reader);
}

type Reader = ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

/** The value, if it is there before a timer fires. */
function already<T>(promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), 0);
    promise.finally(() => clearTimeout(timer)).then(resolve, reject);
  });
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

function goOn(chunks: Uint8Array<ArrayBuffer>[], reading: ReturnType<Reader["read"]>, reader: Reader) {
  let next: typeof reading | undefined = reading;
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const first = chunks.shift();
      if (first) return controller.enqueue(first);
      const { done, value } = await (next ?? reader.read());
      next = undefined;
      done ? controller.close() : controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
