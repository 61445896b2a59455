/**
 * Memory for what is on its way to the clients of one address. The runtime takes whatever is written, whether or not the
 * other end reads it: so that many who do not read cannot take all memory, large updates wait for room.
 */
import { isRefusal, type Refusal, refuse } from "../domain/refusal.ts";

/** What is smaller needs no room, in bytes: who holds the map already is told of changes, whoever else does not read. */
const SMALL = 1 << 16;
/** For one address, in bytes; an update that is larger goes alone. */
const MOST = 256 << 20;
/** Nobody waits longer, in ms. */
const PATIENCE_MS = 10_000;

const FULL = refuse(
  "too_many",
  "Cannot send more to this address: what was sent to it is not received; try again later",
);

const NONE: Disposable = { [Symbol.dispose]() {} };

interface Waiter {
  readonly bytes: number;
  readonly admit: () => void;
}

interface Address {
  used: number;
  /** In the order in which they came. */
  readonly waiting: Set<Waiter>;
}

export class Room {
  readonly #addresses = new Map<string, Address>();

  constructor(private readonly most = MOST, private readonly patienceMs = PATIENCE_MS) {}

  /** Room for so many bytes to `who`, until it is disposed; refused where there is none for long, or `signal` aborts. */
  async take(who: string, bytes: number, signal: AbortSignal): Promise<Disposable | Refusal> {
    if (bytes <= SMALL) return NONE;
    const address = this.#addresses.get(who) ?? { used: 0, waiting: new Set() };
    this.#addresses.set(who, address);
    if (address.waiting.size === 0 && this.#fits(address, bytes)) address.used += bytes;
    else if (signal.aborted || !await this.#admitted(address, bytes, signal)) return FULL;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        address.used -= bytes;
        this.#admit(address);
        if (address.used === 0 && address.waiting.size === 0) this.#addresses.delete(who);
      },
    };
  }

  /** The same until `signal` aborts; why not, if not. */
  async hold(who: string, bytes: number, signal: AbortSignal): Promise<Refusal | undefined> {
    const place = await this.take(who, bytes, signal);
    if (isRefusal(place)) return place;
    const leave = () => place[Symbol.dispose]();
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    return undefined;
  }

  #fits({ used }: Address, bytes: number): boolean {
    return used === 0 || used + bytes <= this.most;
  }

  /** Waits for its turn: whether it came. */
  #admitted(address: Address, bytes: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (admitted: boolean) => {
        clearTimeout(late);
        signal.removeEventListener("abort", giveUp);
        address.waiting.delete(waiter);
        resolve(admitted);
        // Those behind it may need less.
        if (!admitted) this.#admit(address);
      };
      const giveUp = () => end(false);
      const waiter = { bytes, admit: () => end(true) };
      const late = setTimeout(giveUp, this.patienceMs);
      signal.addEventListener("abort", giveUp);
      address.waiting.add(waiter);
    });
  }

  #admit(address: Address): void {
    for (const { bytes, admit } of address.waiting) {
      if (!this.#fits(address, bytes)) return;
      address.used += bytes;
      admit();
    }
  }
}
