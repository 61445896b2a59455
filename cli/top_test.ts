import assert from "node:assert/strict";
import { startedControlPlane } from "./testing/control_plane.ts";

Deno.test("top prints once where nobody looks on", async () => {
  await using plane = await startedControlPlane();
  await plane.done("register", "identity", "127.0.0.1:8080");
  const text = await plane.done("top");
  assert.match(text, /^Realm "local" at position \d+\.\d+: 1 service\n\nSERVICE .* HELD\nidentity {2}1\/1 /);
  assert.match(text, /\n\nNo followers\n$/);
  const { services, followers } = JSON.parse(await plane.done("top", "--output", "json"));
  assert.deepEqual([services[0].service, services[0].up, followers], ["identity", 1, []]);
  assert.equal((await plane.run("top", "--control-plane", "127.0.0.1:9")).exit, 3);
});

for (const [key, name] of [["q", "q"], ["\x03", "Ctrl-C"]]) {
  Deno.test(`top follows the map on a terminal until ${name}, and leaves the terminal as it was`, async () => {
    await using plane = await startedControlPlane();
    const main = new URL("main.ts", import.meta.url).pathname;
    const before = "stty -g >&2";
    const top = `"${Deno.execPath()}" run --quiet --cached-only --allow-all "${main}" top`;
    const child = new Deno.Command("script", {
      args: [
        "--quiet",
        "--return",
        "--command",
        `trap : INT; ${before}; ${top}; code=$?; ${before}; exit $code`,
        "/dev/null",
      ],
      env: { ...plane.env, SHELL: "/bin/sh" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const keys = child.stdin.getWriter();
    let screen = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const shown = screen.length;
      screen += text;
      if (screen.includes("0 services") && !screen.slice(0, shown).includes("0 services")) {
        await plane.done("register", "identity", "127.0.0.1:8080");
        await plane.done("disable", "identity");
      }
      if (/identity +0\/1/.test(screen) && !/identity +0\/1/.test(screen.slice(0, shown))) {
        await keys.write(new TextEncoder().encode(key));
      }
    }
    await keys.close();
    assert.equal((await child.status).code, 0);
    const settings = screen.match(/(?:[0-9a-f]+:){10,}[0-9a-f]+/g);
    assert.equal(settings?.length, 2);
    assert.equal(settings?.[0], settings?.[1]);
    assert.ok(screen.includes("\x1b[?1049h\x1b[?25l") && screen.includes("\x1b[?25h\x1b[?1049l"));
    // The service, its instance, the switch.
    assert.match(screen, /CHANGES[^]*identity +0\/1 .* 3\r/);
  });
}
