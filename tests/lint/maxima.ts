/** Lint rules for size. Judgement is for readers; these are the limits beyond which nobody has to judge. */

export const MAX_FILE_LINES = 350;
export const MAX_FUNCTION_LINES = 60;

const plugin: Deno.lint.Plugin = {
  name: "maxima",
  rules: {
    "file-lines": {
      create(context) {
        return {
          Program(node) {
            const lines = linesOf(context.sourceCode.text.trimEnd());
            if (lines <= MAX_FILE_LINES) return;
            context.report({
              node,
              message: `The file has ${lines} lines: expected at most ${MAX_FILE_LINES}`,
              hint: "Move one of its nouns into a file of its own",
            });
          },
        };
      },
    },
    "function-lines": {
      create(context) {
        const check = (node: Deno.lint.Node) => {
          const lines = linesOf(context.sourceCode.text.slice(...node.range));
          if (lines <= MAX_FUNCTION_LINES) return;
          context.report({
            node,
            message: `The function has ${lines} lines: expected at most ${MAX_FUNCTION_LINES}`,
            hint: "Give its steps names",
          });
        };
        return { FunctionDeclaration: check, FunctionExpression: check, ArrowFunctionExpression: check };
      },
    },
  },
};

export default plugin;

function linesOf(text: string): number {
  return text.split("\n").length;
}
