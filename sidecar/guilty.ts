import { Refused } from "./haproxy/data_folder.ts";

/**
 * Of suspects, those without whom HAProxy takes the rest. `check` asks it about the rest of the world with these few,
 * and throws `Refused`; it is asked about log₂ of the suspects for each that is guilty. None, if only several of them
 * together do harm.
 */
export async function guilty(
  suspects: readonly string[],
  check: (few: readonly string[]) => Promise<void>,
): Promise<readonly string[]> {
  if (suspects.length === 0 || await passes(check(suspects))) return [];
  if (suspects.length === 1) return suspects;
  const middle = Math.ceil(suspects.length / 2);
  return [
    ...await guilty(suspects.slice(0, middle), check),
    ...await guilty(suspects.slice(middle), check),
  ];
}

async function passes(checked: Promise<void>): Promise<boolean> {
  try {
    await checked;
    return true;
  } catch (error) {
    if (error instanceof Refused) return false;
    throw error;
  }
}
