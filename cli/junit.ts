export interface Count {
  passed: number;
  failed: number;
}

/** Adds up a JUnit report; tests that were skipped are neither passed nor failed. */
export function countJunit(xml: string): Count {
  const count = { passed: 0, failed: 0 };
  for (const [suite] of xml.matchAll(/<testsuite\s[^>]*>/g)) {
    const number = (name: string) => Number(new RegExp(`\\s${name}="([0-9]+)"`).exec(suite)?.[1] ?? 0);
    const failed = number("failures") + number("errors");
    count.failed += failed;
    count.passed += number("tests") - failed - number("disabled") - number("skipped");
  }
  return count;
}
