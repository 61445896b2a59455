/**
 * What is not usual of a form, as words of the comment ahead of a backend: for people, and for the next sidecar, as the
 * file does not say it otherwise.
 */
import { type Form, sameForm, USUAL_FORM } from "../routing/plan.ts";
import { joined, phrase, type Text } from "./text.ts";

/** `, h2c, 2500 ms` */
export function formText(form: Form): Text {
  const words = WORDS.filter(([, part]) => sameForm(form, { ...form, ...part })).map(([word]) => word);
  const counts = COUNTS.filter(([, of]) => form[of] > 0).map(([unit, of]) => phrase`${form[of]} ${unit}`);
  return joined([...words, ...counts].map((part) => phrase`, ${part}`));
}

/** Reads what `formText` wrote; `undefined` if it is something else. */
export function parseForm(text: string): Form | undefined {
  let form = USUAL_FORM;
  for (const part of text.split(", ").slice(1)) {
    const known = parsePart(part);
    if (!known) return undefined;
    form = { ...form, ...known };
  }
  return form;
}

const WORDS: readonly (readonly [word: Text, part: Partial<Form>])[] = [
  [phrase`h2c`, { speaks: "h2c" }],
  [phrase`tcp`, { speaks: "tcp" }],
  [phrase`round_robin`, { balancer: "round_robin" }],
  [phrase`ring_hash`, { balancer: "ring_hash" }],
];

const COUNTS = [
  [phrase`ms`, "answerMs"],
  [phrase`at once`, "maxConnections"],
  [phrase`waiting`, "maxQueue"],
] as const;

function parsePart(text: string): Partial<Form> | undefined {
  const word = WORDS.find(([word]) => word.text === text);
  if (word) return word[1];
  const [, digits, unit] = /^([0-9]+) (.*)$/.exec(text) ?? [];
  const count = COUNTS.find(([word]) => word.text === unit);
  return count && { [count[1]]: Number(digits) };
}
