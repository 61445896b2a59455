import assert from "node:assert/strict";
import { takeBody } from "./body.ts";

const bodyOf = (body: BodyInit) => new Request("http://x/", { method: "POST", body }).body as ReadableStream;
const text = (body: BodyInit) => new Response(body).text();

Deno.test("takeBody() makes bytes of what is there already", async () => {
  for (const body of ["", "hi", "x".repeat(300_000), new Uint8Array([104, 105]), new Blob(["blob"])]) {
    const taken = await takeBody(bodyOf(body));
    assert.equal(await text(taken), await text(body));
    if (!(body instanceof Blob)) assert.ok(taken instanceof Uint8Array);
  }
});

Deno.test("takeBody() hands a body on as a stream that is still being made, or large", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  writer.write(new TextEncoder().encode("one "));
  const taken = await takeBody(readable as ReadableStream<Uint8Array<ArrayBuffer>>);
  assert.ok(taken instanceof ReadableStream);
  const read = text(taken);
  await writer.write(new TextEncoder().encode("two "));
  await writer.write(new TextEncoder().encode("three"));
  await writer.close();
  assert.equal(await read, "one two three");

  const large = "y".repeat(1_500_000);
  assert.equal(await text(await takeBody(bodyOf(large))), large);
});

Deno.test("takeBody() passes on that nobody wants the rest, and that there is none", async () => {
  let cancelled: unknown;
  const endless = new ReadableStream({ cancel: (reason) => void (cancelled = reason) });
  const taken = await takeBody(endless);
  await (taken as ReadableStream).cancel("enough");
  assert.equal(cancelled, "enough");
  const broken = new ReadableStream({ start: (controller) => controller.error(new Error("torn")) });
  await assert.rejects(takeBody(broken), /torn/);
});
