/** What kind of reason a reload had: a few words for metrics, where sentences would be as many as services. Pure. */

export type ReloadKind = (typeof SENTENCES)[number][0] | "unknown_state";

/** The kind of a sentence that `routing/diff.ts` gives; any other says why what HAProxy runs is not known. */
export function reloadKind(reason: string): ReloadKind {
  return SENTENCES.find(([, sentence]) => sentence.test(reason))?.[0] ?? "unknown_state";
}

const SENTENCES = [
  ["new_service", /^new service "/],
  ["new_version", /^new version [0-9]+ of "/],
  ["no_live_alias", / has no alias "live" any more$/],
  ["other_form", / is reached in another way$/],
  ["sticky_header", /^new sticky header "/],
  ["port", /^new port [0-9]+ of "| has no port [0-9]+ any more$/],
  ["spares", /^few spare backends are left$/],
] as const;
