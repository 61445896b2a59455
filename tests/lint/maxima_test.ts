import assert from "node:assert/strict";
import plugin, { MAX_FILE_LINES, MAX_FUNCTION_LINES } from "./maxima.ts";

Deno.test("file-lines refuses a file of more than the maximum", () => {
  assert.deepEqual(problems("const a = 1;\n".repeat(MAX_FILE_LINES)), []);
  assert.deepEqual(problems("const a = 1;\n".repeat(MAX_FILE_LINES + 1)), [
    "maxima/file-lines: The file has 351 lines: expected at most 350",
  ]);
});

Deno.test("function-lines refuses a function of more than the maximum, of every form", () => {
  const body = (lines: number) => `{\n${"  // é😀\n".repeat(lines - 2)}}`;
  for (
    const form of ["function f() BODY", "const f = () => BODY;", "const f = function () BODY;", "class C { m() BODY }"]
  ) {
    assert.deepEqual(problems(form.replace("BODY", body(MAX_FUNCTION_LINES))), []);
    assert.deepEqual(problems(form.replace("BODY", body(MAX_FUNCTION_LINES + 1))), [
      "maxima/function-lines: The function has 61 lines: expected at most 60",
    ]);
  }
});

function problems(source: string): readonly string[] {
  return Deno.lint.runPlugin(plugin, "example.ts", source).map(({ id, message }) => `${id}: ${message}`);
}
