import { sleep } from "./sleep.ts";

Deno.test("sleep() ends at once when it is aborted, before or meanwhile", async () => {
  const stop = new AbortController();
  const sleeping = sleep(3_600_000, stop.signal);
  stop.abort();
  await sleeping;
  await sleep(3_600_000, stop.signal);
});
