/** Lint rules for what other checks rely on: imports that can be seen, tests that all run, pure files that are pure. */
import { fileURLToPath } from "node:url";
import { isPure } from "../layers.ts";

/** Input, output, clock and chance; a pure file gets what it needs of them as arguments. */
const IMPURE_GLOBALS = new Set([
  "Deno",
  "fetch",
  "process",
  "performance",
  "crypto",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "console",
]);
const IMPURE_MEMBERS = new Set(["Date.now", "Math.random"]);

const plugin: Deno.lint.Plugin = {
  name: "habits",
  rules: {
    "no-computed-import": {
      create(context) {
        return {
          ImportExpression({ source }) {
            if (source.type === "Literal") return;
            context.report({
              node: source,
              message: "The import's target is computed: expected a literal",
              hint: "The check of layers sees literal imports only",
            });
          },
        };
      },
    },
    "no-skipped-test": {
      create(context) {
        const refuse = (node: Deno.lint.Node, what: string) =>
          context.report({
            node,
            message: `The test says ${what}: expected tests that run`,
            hint: "Remove it before it lands",
          });
        return {
          MemberExpression(node) {
            const text = context.sourceCode.getText(node);
            if (/^Deno\s*\.\s*test\s*\.\s*(?:only|ignore|skip)$/.test(text)) refuse(node, text);
          },
          // A condition is allowed for `ignore`: some tests need what not every machine has.
          Property(node) {
            const text = context.sourceCode.getText(node);
            if (isTestOption(node) && /^(?:only|ignore)\s*:\s*true$/.test(text)) refuse(node, text);
          },
        };
      },
    },
    pure: {
      create(context) {
        if (!isPure(pathFromRoot(context.filename))) return {};
        const refuse = (node: Deno.lint.Node, what: string) =>
          context.report({
            node,
            message: `The file uses ${what}: expected neither input nor output, neither clock nor chance`,
            hint: "Pass it in as an argument, or take the file off the list of pure ones in tests/layers.ts",
          });
        return {
          MemberExpression(node) {
            const text = context.sourceCode.getText(node);
            if (IMPURE_MEMBERS.has(text)) refuse(node, text);
          },
          NewExpression(node) {
            const text = context.sourceCode.getText(node);
            if (/^new Date(?:\(\s*\))?$/.test(text)) refuse(node, text);
          },
          Identifier(node) {
            if (IMPURE_GLOBALS.has(node.name) && standsAlone(node)) refuse(node, node.name);
          },
        };
      },
    },
  },
};

export default plugin;

/** Whether a property is one of the options in `Deno.test({ … })`. */
function isTestOption({ parent: options }: Deno.lint.Property): boolean {
  if (options.type !== "ObjectExpression" || options.parent.type !== "CallExpression") return false;
  const { callee } = options.parent;
  return callee.type === "MemberExpression" && callee.object.type === "Identifier" && callee.object.name === "Deno" &&
    callee.property.type === "Identifier" && callee.property.name === "test";
}

/** Not `x.fetch`, not `{ fetch: … }`: the global of that name, or what hides it. */
function standsAlone(node: Deno.lint.Identifier): boolean {
  const parent: Deno.lint.Node = node.parent;
  if (parent.type === "MemberExpression") return parent.object === node || parent.computed;
  if (parent.type === "Property") return parent.value === node && !isPattern(parent.parent);
  return !["TSPropertySignature", "TSMethodSignature", "MethodDefinition", "PropertyDefinition"].includes(parent.type);
}

function isPattern(node: Deno.lint.Node): boolean {
  return node.type === "ObjectPattern";
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

function pathFromRoot(filename: string): string {
  return filename.startsWith(ROOT) ? filename.slice(ROOT.length) : filename;
}
