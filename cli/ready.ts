/** Asks until the answer is 200, or the time is up; answers with what came last instead, `undefined` for ready. */
export async function ready(
  url: string,
  { headers = {}, withinMs, signal }: { headers?: Record<string, string>; withinMs: number; signal: AbortSignal },
): Promise<string | undefined> {
  const ends = performance.now() + withinMs;
  let last = "no answer";
  while (performance.now() < ends) {
    signal.throwIfAborted();
    try {
      const response = await fetch(url, { headers, signal: AbortSignal.any([signal, AbortSignal.timeout(2_000)]) });
      const body = await response.text();
      if (response.ok) return undefined;
      last = `${response.status} ${body.slice(0, 300)}`.trim();
    } catch (error) {
      signal.throwIfAborted();
      last = (error as Error).message;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return last;
}
