import assert from "node:assert/strict";
import { Hono } from "hono";
import { Quota } from "../app/quota.ts";
import { isRefusal } from "../domain/refusal.ts";
import { answer } from "./http_common.ts";
import { longJson, PIECE, sliced } from "./http_long.ts";

Deno.test("sliced() cuts a text into pieces, never within a character", () => {
  for (const length of [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE]) {
    for (const text of ["x".repeat(length), "é".repeat(length), `x${"🙂".repeat(length)}`]) {
      const pieces = [...sliced(text)];
      assert.equal(pieces.join(""), text);
      assert.ok(pieces.every((piece) => piece.isWellFormed() && piece.length <= PIECE + 1));
      assert.ok(pieces.slice(0, -1).every((piece) => piece.length >= PIECE));
    }
  }
});

Deno.test("longJson() sends short texts whole, long ones as they are read, and each is the text", async () => {
  const requests = new Quota(1, "requests");
  const app = new Hono();
  let text = "";
  app.get("/", (context) => {
    const response = longJson(requests, context, sliced(text), { "x-more": "1" });
    return isRefusal(response) ? answer(response) : response;
  });
  const get = async () => await app.request("/", {}, { peer: "test" });
  for (text of ['"short"', `"${"🙂é".repeat(PIECE)}"`, `"${"x".repeat(PIECE - 2)}"`, `"${"x".repeat(PIECE - 1)}"`]) {
    const response = await get();
    assert.deepEqual([response.headers.get("content-type"), response.headers.get("x-more")], ["application/json", "1"]);
    assert.equal(await response.text(), text);
  }
  text = `"${"x".repeat(PIECE)}"`;
  const unread = await get();
  assert.equal((await get()).status, 429, "it is not read yet");
  await unread.body?.cancel();
  assert.equal((await get()).status, 200);
});
