import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

Deno.test("the program ends at each signal that asks for it, and says so", async () => {
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const listeners = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", "memory:"];
  const args = ["run", "--quiet", "--no-prompt", "-P=control-plane", main, ...listeners];
  await Promise.all((["SIGINT", "SIGTERM", "SIGHUP"] as const).map(async (signal) => {
    const child = new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "null", stderr: "piped" }).spawn();
    let said = "";
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      if (!said.includes('"Serving"') && (said + text).includes('"Serving"')) child.kill(signal);
      said += text;
    }
    assert.equal((await child.status).code, 0, said);
    assert.match(said, new RegExp(`"message":"Stopping","signal":"${signal}"`));
  }));
});
