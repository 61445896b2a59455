import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { createLog } from "./log.ts";

Deno.test("createLog() writes one JSON object a line, with time, level, program and message first", () => {
  const { log, lines } = collect();
  log.info("Listening", { port: 7400 });
  log.warn("Slow");
  log.error("Gone");
  const entries = lines.map((line) => JSON.parse(line));
  assert.deepEqual(entries.map(({ level, program, message }) => [level, program, message]), [
    ["info", "program", "Listening"],
    ["warn", "program", "Slow"],
    ["error", "program", "Gone"],
  ]);
  assert.equal(entries[0].port, 7400);
  assert.match(lines[0]!, /^\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","level":"info","program":"program",/);
});

Deno.test("createLog() writes bigints, errors and what they hold as plain values", () => {
  const { log, lines } = collect();
  log.info("Values", { revision: 2n ** 60n, error: new TypeError("not so"), deep: { list: [1n, new Error("deep")] } });
  const { revision, error, deep } = JSON.parse(lines[0]!);
  assert.deepEqual([revision, error, deep], ["1152921504606846976", "not so", { list: ["1", "deep"] }]);
});

const odd = fc.string({
  unit: fc.oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    fc.constantFrom(...'\0\n\r\u001b\u007f\u0085\u009b\u2028"\\'),
  ),
});

Deno.test("createLog() never writes more than one line for an entry, nor a control character", () => {
  fc.assert(fc.property(odd, fc.anything({ withBigInt: true }), (text, value) => {
    const { log, lines } = collect();
    log.info(text, { [text || "key"]: value, error: new Error(text), text });
    assert.equal(lines.length, 1);
    // deno-lint-ignore no-control-regex -- they are what is looked for
    assert.doesNotMatch(lines[0]!.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
    assert.equal(JSON.parse(lines[0]!).text, text.toWellFormed());
  }));
  const { log, lines } = collect();
  log.info('a\n{"level":"error"}\r\n\u001b[2J\u009b2J\u007f\u2028\u2029é');
  assert.equal(lines.join("").split("\n").length, 2);
  assert.ok(
    lines[0]!.includes(String.raw`a\n{\"level\":\"error\"}\r\n\u001b[2J\u009b2J\u007f\u2028\u2029é`),
    lines[0]!,
  );
});

Deno.test("createLog() says so when a field cannot be written, and does not throw", () => {
  const { log, lines } = collect();
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  log.warn("Odd fields", { circle });
  log.warn("Odd fields", {
    odd: {
      toJSON: () => {
        throw new Error("not today");
      },
    },
  });
  for (const line of lines) {
    const { level, message, unwritable } = JSON.parse(line);
    assert.deepEqual([level, message, typeof unwritable], ["warn", "Odd fields", "string"]);
  }
});

Deno.test("createLog() keeps its own fields from being replaced", () => {
  const { log, lines } = collect();
  log.info("True", { message: "False", level: "error", program: "other", time: "never" });
  const { level, program, message, time } = JSON.parse(lines[0]!);
  assert.deepEqual([level, program, message], ["info", "program", "True"]);
  assert.notEqual(time, "never");
});

Deno.test("createLog() writes the lines of one turn of the event loop at once, an error before anything else", async () => {
  const log = createLog("program");
  using standardError = replaceStandardError();
  log.info("one");
  log.warn("two");
  assert.deepEqual(standardError.writes(), []);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(standardError.writes(), ["one two"]);
  log.info("three");
  log.error("four");
  assert.deepEqual(standardError.writes(), ["one two", "three four"]);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(standardError.writes(), ["one two", "three four"]);
  // A turn that never ends.
  const long = "x".repeat(10_000);
  for (let i = 0; i < 8; i++) log.info(long);
  assert.equal(standardError.writes().length, 3);
  await new Promise((resolve) => setImmediate(resolve));
});

Deno.test("createLog() writes all of a line that standard error takes in pieces, and does without one that it refuses", () => {
  const log = createLog("program");
  {
    using standardError = replaceStandardError((bytes) => Math.min(bytes.length, 7));
    log.error("é and more");
    assert.deepEqual(standardError.messages(), ["é and more"]);
  }
  using standardError = replaceStandardError(() => {
    throw new Deno.errors.BrokenPipe();
  });
  log.error("nobody reads");
  assert.deepEqual(standardError.messages(), []);
});

Deno.test("createLog() loses no line however its program ends", async () => {
  const say = 'log.info("last words");';
  const ends: [string, number][] = [
    [`${say} Deno.exit(3)`, 3],
    [`${say} (await import("node:process")).exit(3)`, 3],
    [`${say} throw new Error("not caught")`, 1],
    [`setTimeout(() => { ${say} throw new Error("not caught"); })`, 1],
    [`setTimeout(() => { ${say} Promise.reject(new Error("not caught")); })`, 1],
    [say, 0],
  ];
  const outputs = ends.map(async ([program, code]) => {
    const ended = await run(program);
    assert.equal(ended.code, code, program);
    assert.match(ended.stderr, /^\{[^\n]*"message":"last words"\}\n/, program);
  });
  outputs.push(
    run(`log.info("before"); log.error("killed"); Deno.kill(Deno.pid, "SIGKILL")`).then(({ stderr }) =>
      assert.match(stderr, /"before"\}\n.*"killed"\}\n$/)
    ),
  );
  await Promise.all(outputs);
});

/** A program of its own that logs. */
async function run(program: string) {
  const log = `import { createLog } from "./proto/log.ts"; const log = createLog("program");`;
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", "--cached-only", "--frozen", "--ext=ts", `${log} ${program}`],
    cwd: fileURLToPath(new URL("../", import.meta.url)),
    stdin: "null",
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

/** Standard error until it is disposed: `take` says how many of the bytes it takes. */
function replaceStandardError(take = (bytes: Uint8Array) => bytes.length) {
  const real = Deno.stderr.writeSync;
  const writes: Uint8Array[] = [];
  Deno.stderr.writeSync = (bytes) => {
    const taken = take(bytes);
    writes.push(bytes.slice(0, taken));
    return taken;
  };
  const text = (...bytes: Uint8Array[]) => Buffer.concat(bytes).toString();
  const messages = (lines: string) => lines.split("\n").filter(Boolean).map((line) => JSON.parse(line).message);
  return {
    writes: () => writes.map((bytes) => messages(text(bytes)).join(" ")),
    messages: () => messages(text(...writes)),
    [Symbol.dispose]: () => void (Deno.stderr.writeSync = real),
  };
}

function collect() {
  const lines: string[] = [];
  return { log: createLog("program", (line) => lines.push(line)), lines };
}
