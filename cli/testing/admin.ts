/** A sidecar's own HTTP, as far as the command line asks it. */

/** Each answer tells of 50 requests more than the one before; 5 of them failed. */
export function startedAdmin(): AsyncDisposable & { readonly address: string } {
  let answers = 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    const requests = 50 * ++answers;
    const version = {
      ...{ version: 1, requests, connectErrors: answers, responseErrors: answers, current: 3 },
      ...{ statuses: { "5xx": 3 * answers }, responseMs: { mean: 2.5, max: 9 } },
    };
    return Response.json({ realm: "local", workerPid: 7, services: [{ service: "identity", versions: [version] }] });
  });
  return {
    address: `127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
