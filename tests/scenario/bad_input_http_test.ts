import assert from "node:assert/strict";
import { BAD_WRITES, type Code, GOOD_WRITES, type Operation, type Write, write } from "./bad_writes.ts";
import { BAD_BODIES, BAD_REQUESTS, type BadRequest } from "./bad_requests.ts";
import { each, type StartedControlPlane, startedControlPlane } from "./control_plane.ts";

const STATUS: Record<Code, number> = {
  INVALID_ARGUMENT: 400,
  NOT_FOUND: 404,
  FAILED_PRECONDITION: 409,
  RESOURCE_EXHAUSTED: 413,
};

const INSTANCE_PATH = pathOf(write("register"));
const ALIAS_PATH = pathOf(write("alias"));
const SERVICE_PATH = pathOf(write("service"));
const BODY_PATHS = { instance: INSTANCE_PATH, route: ALIAS_PATH, service: SERVICE_PATH };
const INSTANCE = JSON.stringify(write("register").body);

function pathOf({ operation, realm, service, id, hostId, alias }: Write): string {
  const [of, named, host] = [realm, service, hostId].map(encodeURIComponent);
  const inRealm = `/api/v1/realms/${of}`;
  const inService = `${inRealm}/services/${named}`;
  const resource = id === undefined ? inService : `${inService}/instances/${encodeURIComponent(id)}`;
  switch (operation) {
    case "alias":
    case "unalias":
      return `${inService}/aliases/${encodeURIComponent(alias)}`;
    case "disable_host":
      return `${inRealm}/hosts/${host}:disable`;
    case "drain_host":
      return `${inRealm}/hosts/${host}:drain`;
    case "disable":
    case "drain":
      return `${resource}:${operation}`;
    case "service":
    case "delete":
      return inService;
    default:
      return resource;
  }
}

const METHODS: Record<Operation, string> = {
  register: "PUT",
  alias: "PUT",
  service: "PUT",
  deregister: "DELETE",
  unalias: "DELETE",
  delete: "DELETE",
  disable: "POST",
  drain: "POST",
  disable_host: "POST",
  drain_host: "POST",
};

function requestOf(wanted: Write): RequestInit {
  const { operation, body, reason, operationId } = wanted;
  return {
    method: METHODS[operation],
    headers: {
      ...(reason !== undefined && { "portolan-reason": reason }),
      ...(operationId !== undefined && { "portolan-operation-id": operationId }),
    },
    ...(METHODS[operation] === "PUT" && { body: JSON.stringify(body) }),
  };
}

/** The response is a problem as RFC 9457 has it, with this code and these fields; nothing was written. */
async function refuses(
  plane: StartedControlPlane,
  { name, path, init, code, fields, status = STATUS[code as Code] }: {
    name: string;
    path: string;
    init: RequestInit;
    code: string;
    fields: readonly string[];
    status?: number;
  },
): Promise<Response> {
  const before = await plane.map();
  const response = await fetch(plane.http + path, init);
  // What is accepted may be a stream without an end.
  const text = response.status === 200 ? "accepted" : await response.text();
  assert.equal(response.status, status, `${name}: ${text}`);
  assert.equal(response.headers.get("content-type"), "application/problem+json", name);
  if (init.method !== "HEAD") {
    const problem = JSON.parse(text);
    assert.deepEqual([problem.status, problem.code, problem.type], [status, code, "about:blank"], name);
    assert.ok(problem.title && typeof problem.detail === "string", name);
    const violations: { field: string; description: string }[] = problem.violations;
    assert.deepEqual(violations.map(({ field }) => field), fields, `${name}: ${text}`);
    assert.ok(violations.every(({ description }) => description.length > 0), name);
  }
  assert.equal(await plane.map(), before, `${name}: something was written`);
  return response;
}

/** A control plane that has something to lose. */
async function planeWithService(): Promise<StartedControlPlane> {
  const plane = await startedControlPlane();
  const onHost = { host: "127.0.0.1", port: 8080, hostId: "h1" };
  for (const wanted of [write("register", { body: onHost }), write("alias", { alias: "canary" })]) {
    assert.equal((await fetch(plane.http + pathOf(wanted), requestOf(wanted)).then(drained)).status, 200);
  }
  return plane;
}

async function drained(response: Response): Promise<Response> {
  await response.body?.cancel();
  return response;
}

Deno.test("HTTP refuses every bad name, number, route and size, naming the field", async () => {
  await using plane = await planeWithService();
  await each(BAD_WRITES, async ({ name, code, fields, ...wanted }) => {
    await refuses(plane, { name, path: pathOf(wanted), init: requestOf(wanted), code, fields });
  });
});

Deno.test("HTTP accepts what is just within the bounds", async () => {
  await using plane = await startedControlPlane();
  let last = 0n;
  for (const wanted of GOOD_WRITES) {
    const response = await fetch(plane.http + pathOf(wanted), requestOf(wanted));
    const text = await response.text();
    assert.equal(response.status, 200, `${JSON.stringify(wanted).slice(0, 200)}: ${text}`);
    const revision = BigInt(JSON.parse(text).revision);
    assert.equal(response.headers.get("portolan-revision"), String(revision));
    assert.ok(revision > last);
    last = revision;
  }
});

Deno.test("HTTP refuses every body that is no message of the contract, naming the field", async () => {
  await using plane = await planeWithService();
  await each(BAD_BODIES, async ({ of, name, body, fields }) => {
    const path = BODY_PATHS[of];
    const init = { method: "PUT", ...(body !== undefined && { body: body as BodyInit }) };
    await refuses(plane, { name: `${of}: ${name}`, path, init, code: "INVALID_ARGUMENT", fields });
  });
});

Deno.test("HTTP refuses bad queries, headers, methods and paths", async () => {
  await using plane = await planeWithService();
  await each(BAD_REQUESTS, async ({ method = "GET", headers = {}, allow, ...rest }: BadRequest) => {
    const response = await refuses(plane, { name: `${method} ${rest.path}`, ...rest, init: { method, headers } });
    assert.equal(response.headers.get("allow"), allow ?? null, `${method} ${rest.path}`);
  });
});

Deno.test("HTTP refuses bodies over 1 MiB, whether or not their length is said before", async () => {
  await using plane = await planeWithService();
  const large = `${INSTANCE}${" ".repeat((1 << 20) + 1 - INSTANCE.length)}`;
  for (const path of Object.values(BODY_PATHS)) {
    for (const body of [large, new Blob([large]).stream()]) {
      const name = `${typeof body} to ${path}`;
      const init = { method: "PUT", body };
      await refuses(plane, { name, path, init, code: "RESOURCE_EXHAUSTED", fields: ["body"] });
    }
  }
  for (const body of [large.slice(0, -1), new Blob([large.slice(0, -1)]).stream()]) {
    const response = await fetch(plane.http + INSTANCE_PATH, { method: "PUT", body }).then(drained);
    assert.equal(response.status, 200, "exactly 1 MiB");
  }
});

Deno.test("HTTP refuses what no client library sends: bad hosts, bodies that end early", async () => {
  await using plane = await planeWithService();
  const put = `PUT ${INSTANCE_PATH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n`;
  const get = (host: string) => `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  const cases: [request: string, field: string][] = [
    ...["[::1", "a b", "a:99999", "%zz", "a/b:x", "a/readyz?", "a@b", "a#"].map((
      host,
    ): [string, string] => [get(host), "Host"]),
    [`${put}Content-Length: ${INSTANCE.length + 1}\r\n\r\n${INSTANCE}`, "body"],
    [`${put}Transfer-Encoding: chunked\r\n\r\n${INSTANCE.length.toString(16)}\r\n${INSTANCE}\r\n`, "body"],
  ];
  const before = await plane.map();
  await each(cases, async ([request, field]) => {
    const answer = await exchange(plane.http, request);
    assert.match(answer, /^HTTP\/1\.1 400 /, request);
    assert.deepEqual(JSON.parse(answer.split("\r\n\r\n")[1]!).violations[0].field, field);
    assert.equal(await plane.map(), before, request);
  });
});

/** Sends bytes as they are, then says that no more will come; answers with all that comes back. */
async function exchange(http: string, request: string): Promise<string> {
  const { hostname, port } = new URL(http);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(new TextEncoder().encode(request));
  await connection.closeWrite();
  const chunks: Uint8Array[] = [];
  const buffer = new Uint8Array(65_536);
  for (let n; (n = await connection.read(buffer)) !== null;) chunks.push(buffer.slice(0, n));
  return await new Blob(chunks as BlobPart[]).text();
}
