/** The order of keys in every store: that of their bytes in UTF-8. */

/** Compares two keys: below 0 when `a` comes first, 0 when they are the same. */
export function byBytes(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  for (let at = 0; at < end; at++) {
    const [left, right] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

// UTF-8 sorts as code points do. Units of UTF-16, JavaScript's order, would put pairs (beyond U+FFFF) before U+E000.
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}
