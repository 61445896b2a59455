/**
 * An immutable map by text whose `set` and `delete` copy a few dozen pointers, however many entries there are: a hash
 * trie, five bits a level.
 */
export class PersistentMap<K extends string, V> {
  private constructor(private readonly root: Node<K, V>, readonly size: number) {}

  static empty<K extends string, V>(): PersistentMap<K, V> {
    return new PersistentMap<K, V>([], 0);
  }

  get(key: K): V | undefined {
    let node = this.root;
    for (let hash = hashOf(key);; hash >>>= BITS) {
      if (!isBranch(node)) return node.find((entry) => entry[0] === key)?.[1];
      node = node.children[hash & MASK] ?? [];
    }
  }

  set(key: K, value: V): PersistentMap<K, V> {
    const added = this.get(key) === undefined ? 1 : 0;
    return new PersistentMap(put(this.root, hashOf(key), 0, [key, value]), this.size + added);
  }

  delete(key: K): PersistentMap<K, V> {
    if (this.get(key) === undefined) return this;
    return new PersistentMap(remove(this.root, hashOf(key), key), this.size - 1);
  }

  /** In no order that means anything. */
  *[Symbol.iterator](): Generator<readonly [K, V]> {
    yield* walk(this.root);
  }
}

type Entry<K, V> = readonly [K, V];
type Leaf<K, V> = readonly Entry<K, V>[];
type Branch<K, V> = { readonly children: readonly (Node<K, V> | undefined)[] };
type Node<K, V> = Leaf<K, V> | Branch<K, V>;

const BITS = 5;
const MASK = 31;
const LEAF_SIZE = 8;
// Below this depth the hash has no bits left: texts of one hash share a leaf of any length.
const MAX_DEPTH = 6;

function isBranch<K, V>(node: Node<K, V>): node is Branch<K, V> {
  return !Array.isArray(node);
}

// FNV-1a.
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function put<K extends string, V>(node: Node<K, V>, hash: number, depth: number, entry: Entry<K, V>): Node<K, V> {
  if (isBranch(node)) {
    const children = node.children.slice();
    children[hash & MASK] = put(children[hash & MASK] ?? [], hash >>> BITS, depth + 1, entry);
    return { children };
  }
  const leaf = [...node.filter(([key]) => key !== entry[0]), entry];
  if (leaf.length <= LEAF_SIZE || depth === MAX_DEPTH) return leaf;
  const empty: Node<K, V> = { children: new Array(MASK + 1).fill(undefined) };
  return leaf.reduce<Node<K, V>>((branch, one) => put(branch, hashOf(one[0]) >>> (depth * BITS), depth, one), empty);
}

function remove<K, V>(node: Node<K, V>, hash: number, key: K): Node<K, V> {
  if (!isBranch(node)) return node.filter((entry) => entry[0] !== key);
  const children = node.children.slice();
  const child = children[hash & MASK];
  if (child) children[hash & MASK] = remove(child, hash >>> BITS, key);
  return { children };
}

function* walk<K, V>(node: Node<K, V>): Generator<readonly [K, V]> {
  if (!isBranch(node)) yield* node;
  else for (const child of node.children) if (child) yield* walk(child);
}
