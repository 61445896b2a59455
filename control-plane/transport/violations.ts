/** Collects what is wrong with a request's fields, so that all of it can be said at once. */
import { Invalid } from "../domain/names.ts";
import { invalid, type Refusal, type Violation } from "../domain/refusal.ts";

export class Violations {
  readonly #violations: Violation[] = [];

  /** The value; what is not valid is noted, and {@link refusal} must be asked before the value is used. */
  take<T>(field: string, value: T | Invalid): T {
    if (value instanceof Invalid) this.add(field, value.problem);
    return value as T;
  }

  add(field: string, description: string): void {
    this.#violations.push({ field, description });
  }

  /** Why the request is refused; nothing: every value that was taken is valid. */
  refusal(): Refusal | undefined {
    return this.#violations.length > 0 ? invalid(this.#violations) : undefined;
  }
}
