/** What a check says: how it stands, what was found, and what to do. */
import type { Facts } from "./facts.js";

/** `unknown` is what could not be looked at: it is never told as fine. */
export type Level = "ok" | "unknown" | "warning" | "obstacle";

export interface Finding {
  readonly check: string;
  readonly level: Level;
  readonly what: string;
  /** Null when all is well. */
  readonly todo: string | null;
}

export type Check = (facts: Facts) => readonly Finding[];

export function fine(check: string, what: string): readonly Finding[] {
  return [{ check, level: "ok", what, todo: null }];
}

export function finding(check: string, level: Exclude<Level, "ok">, what: string, todo: string): Finding {
  return { check, level, what, todo };
}
