/** Assertions state what our own code guarantees. They stay on: a wrong step must stop, not drop packets. */

export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** @throws AssertionError when `fact` is false: a bug of ours, never bad input. */
export function assert(fact: boolean, message: string): asserts fact {
  if (!fact) throw new AssertionError(`bug: ${message}`);
}

/** Ends a `switch` over a closed union; a new member then fails to compile. */
export function unreachable(value: never): never {
  throw new AssertionError(`bug: unreachable value ${JSON.stringify(value)}`);
}
