/** What differs between the platforms that the SDK runs on; the only file that knows of one. */

/**
 * How to ask `fetch` for a connection of its own. Deno's fetch sends a request again by itself when a connection that
 * it uses again is reset, a POST too; others repeat nothing that is unsafe.
 */
export function unshared(): RequestInit {
  if (!("Deno" in globalThis)) return {};
  client ??= Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  return { client } as RequestInit;
}

let client: Deno.HttpClient | undefined;
