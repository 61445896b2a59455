/** Lets everything else go on, also what comes from outside: for tests that wait for what nobody tells. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
