/** What backends of pools are called in HAProxy. */

/** What the name of a slot begins with, and no other that a row of the map file leads to. */
export const SLOT_START = "b";

export function slotName(number: number): string {
  return SLOT_START + String(number).padStart(3, "0");
}

/** Whether a backend is a pool. */
export function isSlot(backend: string): boolean {
  return SLOT.test(backend);
}

const SLOT = new RegExp(`^${SLOT_START}[0-9]{3,9}$`);
