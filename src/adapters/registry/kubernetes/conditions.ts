/** The conditions in an object's status, as `kubectl describe` shows them. */
import type { KubeObject } from "./kube-object.js";
import { conditionsSchema, type Condition } from "./object-schemas.js";

export function conditionOf(object: KubeObject, type: string): Condition | null {
  return conditionsOf(object).find((one) => one.type === type) ?? null;
}

/** All of the object with `condition` in place of the one of its type: a patch replaces the list. */
export function withCondition(object: KubeObject, condition: Condition): readonly Condition[] {
  return [...conditionsOf(object).filter(({ type }) => type !== condition.type), condition];
}

function conditionsOf({ status }: KubeObject): readonly Condition[] {
  const parsed = conditionsSchema.safeParse(status);
  return parsed.success ? (parsed.data.conditions ?? []) : [];
}
