/**
 * The leader's answer to a registration: the condition `Admitted` of its SpindleReport, for the
 * generation that it is about. It is written when it says something new.
 */
import { systemClock } from "../../system/clock.js";
import type { ApiClient } from "./api-client.js";
import { conditionOf, withCondition } from "./conditions.js";
import { resourcePath, type KubeObject } from "./kube-object.js";
import type { Condition } from "./object-schemas.js";

export const admittedCondition = "Admitted";
/** `reason` of an admission; that of a refusal is its code. */
const admittedReason = "Admitted";

export interface Verdict {
  readonly report: KubeObject;
  /** Null: admitted. */
  readonly code: string | null;
  readonly why: string;
}

export class AdmissionAnswers {
  readonly #client: ApiClient;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  async send(verdicts: readonly Verdict[]): Promise<void> {
    await Promise.all(verdicts.filter(saysSomethingNew).map((verdict) => this.#send(verdict)));
  }

  async #send({ report, code, why }: Verdict): Promise<void> {
    const { name, generation } = report.metadata;
    const condition: Condition = {
      type: admittedCondition,
      status: code === null ? "True" : "False",
      reason: code ?? admittedReason,
      message: why,
      observedGeneration: generation,
      lastTransitionTime: systemClock.wallAt(),
    };
    const path = `${resourcePath(this.#client.namespace, "spindlereports")}/${name}/status`;
    // A report that went meanwhile needs no answer.
    await this.#client.send({ method: "PATCH", path, body: { status: { conditions: withCondition(report, condition) } } });
  }
}

export function admissionOf(object: KubeObject): Condition | null {
  return conditionOf(object, admittedCondition);
}

function saysSomethingNew({ report, code }: Verdict): boolean {
  const last = admissionOf(report);
  if (last === null || last.observedGeneration !== report.metadata.generation) return true;
  return last.reason !== (code ?? admittedReason);
}
