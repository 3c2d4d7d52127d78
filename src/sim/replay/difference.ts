/** The first place where two JSON values differ. The order of fields means nothing, the order of a list does. */

export interface Difference {
  /** `effects[0].stages[0][2].sa.spi`; empty for the value itself. */
  readonly path: string;
  /** As JSON; null for what is absent. */
  readonly recorded: string | null;
  readonly replayed: string | null;
}

export function findDifference(recorded: unknown, replayed: unknown, path = ""): Difference | null {
  if (Object.is(recorded, replayed)) return null;
  if (!isComposite(recorded) || !isComposite(replayed) || Array.isArray(recorded) !== Array.isArray(replayed)) {
    return { path, recorded: textOf(recorded), replayed: textOf(replayed) };
  }
  for (const name of namesOf(recorded, replayed)) {
    const here = Array.isArray(recorded) ? `${path}[${name}]` : path === "" ? name : `${path}.${name}`;
    const found = findDifference(recorded[name], replayed[name], here);
    if (found !== null) return found;
  }
  return null;
}

type Composite = Readonly<Record<string, unknown>>;

function isComposite(value: unknown): value is Composite {
  return typeof value === "object" && value !== null;
}

function namesOf(one: Composite, other: Composite): readonly string[] {
  const names = Object.keys(one);
  return [...names, ...Object.keys(other).filter((name) => !Object.hasOwn(one, name))];
}

function textOf(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}
