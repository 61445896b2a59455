import assert from "node:assert/strict";
import { startedControlPlane } from "./testing/control_plane.ts";
import { startedAdmin } from "./testing/admin.ts";

/** Nobody listens there. */
const NO_ADMIN = ["--admin", "127.0.0.1:9"];

Deno.test("top prints once where nobody looks on", async () => {
  await using plane = await startedControlPlane();
  await plane.done("register", "identity", "127.0.0.1:8080");
  const text = await plane.done("top", ...NO_ADMIN);
  assert.match(text, /^Realm "local" at position \d+\.\d+: 1 service\n\nSERVICE .* HELD\nidentity {2}1\/1 /);
  assert.match(text, /\n\nNo sidecar answers at 127.0.0.1:9\n\nNo followers\n$/);
  const { services, followers, sidecar } = JSON.parse(await plane.done("top", "--output", "json", ...NO_ADMIN));
  assert.deepEqual([services[0].service, services[0].up, followers], ["identity", 1, []]);
  assert.deepEqual(sidecar, { address: "127.0.0.1:9", problem: "No sidecar answers at 127.0.0.1:9", traffic: [] });
  assert.equal((await plane.run("top", "--control-plane", "127.0.0.1:9")).exit, 3);
});

Deno.test("top shows what goes through the sidecar, where one answers", async () => {
  await using plane = await startedControlPlane();
  await using admin = startedAdmin();
  const { sidecar } = JSON.parse(await plane.done("top", "--output", "json", "--admin", admin.address));
  assert.deepEqual([sidecar.address, sidecar.problem, sidecar.traffic.length], [admin.address, null, 1]);
  const [{ requestsPerSecond, errorsPerSecond, ...rest }] = sidecar.traffic;
  assert.deepEqual(rest, { service: "identity", version: 1, meanResponseMs: 2.5, current: 3 });
  // Between two answers 50 more, of which 5 failed, and about a second.
  assert.ok(requestsPerSecond > 5 && requestsPerSecond <= 50 && errorsPerSecond > 0, JSON.stringify(sidecar));
  const { out } = await plane.run("top", "--admin", admin.address);
  assert.match(out, /\n\nCALLED HERE .*\nidentity +v1 +[0-9.]+ +[0-9.]+ +2.5 +3\n\n/);
  const other = await plane.done("top", "--realm", "other", "--admin", admin.address);
  assert.match(other, new RegExp(`\n\nThe sidecar at ${admin.address} serves realm "local"\n\n`));
});

for (const [key, name] of [["q", "q"], ["\x03", "Ctrl-C"]]) {
  Deno.test(`top follows the map on a terminal until ${name}, and leaves the terminal as it was`, async () => {
    await using plane = await startedControlPlane();
    const main = new URL("main.ts", import.meta.url).pathname;
    const before = "stty -g >&2";
    const top = `"${Deno.execPath()}" run --quiet --cached-only --allow-all "${main}" top ${NO_ADMIN.join(" ")}`;
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
