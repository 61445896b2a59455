import assert from "node:assert/strict";
import type { Realm } from "../domain/names.ts";
import { isRefusal } from "../domain/refusal.ts";
import { eventStream } from "./http_events.ts";
import { Room } from "./room.ts";
import { testControlPlane, type TestPlane } from "./testing.ts";

/** Events of a stream of server-sent events, as they come. */
async function* events(response: Response): AsyncGenerator<Record<string, string>> {
  let text = "";
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const fields = text.slice(0, end).split("\n").map((line) => /^([a-z]*): (.*)$/.exec(line)!.slice(1));
      text = text.slice(end + 2);
      yield Object.fromEntries(fields);
    }
  }
}

async function read(stream: AsyncGenerator<Record<string, string>>) {
  const { value } = await stream.next();
  const part = JSON.parse(value!["data"]!);
  return { id: value!["id"]!, complete: part.complete, names: part.set.map(({ name }: { name: string }) => name) };
}

Deno.test("GET /watch sends the map, then what changed, under the ids of positions", async () => {
  await using plane = await testControlPlane();
  await plane.register("a");
  const response = await fetch(`${plane.url}/watch`);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const stream = events(response);
  const first = await read(stream);
  assert.deepEqual([first.complete, first.names], [true, ["a"]]);
  const { revision } = await plane.register("b");
  const second = await read(stream);
  assert.deepEqual([second.complete, second.names, second.id.split(".")[1]], [false, ["b"], String(revision)]);
  await stream.return(undefined);
});

Deno.test("GET /watch resumes after Last-Event-ID with what changed since, in scope", async () => {
  await using plane = await testControlPlane();
  await plane.register("a");
  const stream = events(await fetch(`${plane.url}/watch`));
  const { id } = await read(stream);
  await stream.return(undefined);
  await plane.register("b");
  await plane.register("c");
  for (
    const [query, headers] of [["", { "last-event-id": id }], [`&after=${id}`, {}], [`&after=${id.split(".")[1]}`, {}]]
  ) {
    const resumed = events(
      await fetch(`${plane.url}/watch?service=b&service=nowhere${query}`, { headers: headers as never }),
    );
    const { complete, names } = await read(resumed);
    assert.deepEqual([complete, names], [false, ["b"]]);
    await resumed.return(undefined);
  }
  const foreign = events(await fetch(`${plane.url}/watch?after=1.2`));
  assert.equal((await read(foreign)).complete, true, "another epoch begins anew");
  await foreign.return(undefined);
});

Deno.test("GET /watch ends when the control plane stops", async () => {
  await using plane = await testControlPlane();
  const stream = events(await fetch(`${plane.url}/watch`));
  await read(stream);
  await plane.stop();
  assert.equal((await stream.next()).done, true);
});

Deno.test("GET /watch sends what is larger than a piece whole, and says what is gone", async () => {
  await using plane = await testControlPlane();
  const metadata = { k: "é".repeat(2_000) };
  for (let i = 0; i < 40; i++) {
    const instance = { host: "a", port: 1, metadata };
    await plane.registry.register({ realm: "local", service: `s${i}`, id: "i", instance });
  }
  const stream = events(await fetch(`${plane.url}/watch`));
  const { value } = await stream.next();
  assert.ok(value!["data"]!.length > 1 << 16);
  const { set } = JSON.parse(value!["data"]!);
  assert.deepEqual([set.length, set[7].instances[0].metadata], [40, metadata]);
  await plane.registry.deleteService({ realm: "local", service: "s7", force: true });
  const gone = JSON.parse((await stream.next()).value!["data"]!);
  assert.deepEqual([gone.set, gone.deleted], [[], ["s7"]]);
  await stream.return(undefined);
});

/** What is larger than a piece, and smaller than two. */
async function registerMuch(plane: TestPlane): Promise<void> {
  for (let i = 0; i < 25; i++) {
    const instance = { host: "a", port: 1, metadata: { k: "x".repeat(4_000) } };
    await plane.registry.register({ realm: "local", service: "a", id: `i${i}`, instance });
  }
}

Deno.test("a watch over HTTP ends where there is no room for what is large, until others have read theirs, or go", async () => {
  await using plane = await testControlPlane();
  await registerMuch(plane);
  const room = new Room(150 << 10, 5);
  let left = 0;
  const open = () => {
    const turn = { [Symbol.dispose]: () => void left++ };
    const take = (bytes: number, signal: AbortSignal) => room.take("a", bytes, signal);
    const never = new AbortController().signal;
    return eventStream(plane.ports.reading, { realm: "local" as Realm }, undefined, never, turn, take).getReader();
  };
  const slow = open();
  assert.equal((await slow.read()).value?.length, 1 << 16);
  assert.equal((await open().read()).done, true);
  assert.equal(left, 1, "nobody has a place among the watches for nothing");
  assert.ok((await slow.read()).value!.length < 1 << 16);
  const going = open();
  assert.equal((await going.read()).done, false);
  await going.cancel();
  const last = open();
  assert.equal((await last.read()).done, false);
  await Promise.all([slow.cancel(), last.cancel()]);
});

Deno.test("a watch over HTTP whose reader goes while it waits for room takes none", async () => {
  await using plane = await testControlPlane();
  await registerMuch(plane);
  const room = new Room(150 << 10);
  const full = await room.take("a", 150 << 10, new AbortController().signal);
  assert.ok(!isRefusal(full));
  const asked = Promise.withResolvers<void>();
  const take = (bytes: number, signal: AbortSignal) => (asked.resolve(), room.take("a", bytes, signal));
  const stream = eventStream(
    plane.ports.reading,
    { realm: "local" as Realm },
    undefined,
    new AbortController().signal,
    { [Symbol.dispose]() {} },
    take,
  );
  const reader = stream.getReader();
  const reading = reader.read();
  await asked.promise;
  // It is let in, and does not know it yet.
  full[Symbol.dispose]();
  await reader.cancel();
  assert.equal((await reading).done, true);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.ok(!isRefusal(await room.take("a", 150 << 10, AbortSignal.abort())));
});

Deno.test("GET /watch of one realm hears nothing of another, nor of services out of its scope", async () => {
  await using plane = await testControlPlane();
  const stream = events(await fetch(`${plane.url}/watch?service=b`));
  await read(stream);
  await plane.registry.register({ realm: "testing", service: "b", id: "i", instance: { host: "a", port: 1 } });
  await plane.register("a");
  await plane.register("b");
  assert.deepEqual((await read(stream)).names, ["b"]);
  await stream.return(undefined);
});
