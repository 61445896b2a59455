/** Whose fault it is that HAProxy refuses what is wanted. */
import { Refused } from "./haproxy/data_folder.ts";
import { needReload } from "./routing/assign.ts";
import type { HaproxyPlan, Wanted } from "./routing/plan.ts";
import type { Wishes } from "./wishes.ts";

/**
 * Puts the services that HAProxy cannot take back to the form that it last ran, and answers with them. `check` asks it
 * about other wishes, as `guilty` does. Throws the refusal where no service can be blamed for it.
 */
export async function revertGuilty(
  refusal: Refused,
  wishes: Pick<Wishes, "wanted" | "unproven" | "only" | "revert">,
  running: HaproxyPlan,
  check: (wanted: Wanted) => Promise<void>,
): Promise<readonly string[]> {
  const found = await guilty(wishes.unproven, (few) => check(wishes.only(few)));
  // Where nobody does harm alone, whatever needs the reload does.
  const services = found.length > 0 ? found : needReload(wishes.wanted, running);
  if (services.length === 0) throw refusal;
  wishes.revert(services, refusal.message);
  return services;
}

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
