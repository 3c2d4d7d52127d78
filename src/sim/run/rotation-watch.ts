/** One rotation as its nodes tell it: who has staged, switched and retired, and when the last of them did. */
import type { LogLine } from "../fleet.js";

/** The staging of one node: how many inbound SAs, and how long. */
export interface NodeStaging {
  readonly node: string;
  readonly sas: number;
  readonly stagingMs: number;
}

const steps = ["staged", "switched", "retired"] as const;
export type RotationStep = (typeof steps)[number];

export class RotationWatch {
  readonly keyId: number;
  readonly oldKeyId: number;
  /** Virtual time at which the first key file named the key. */
  readonly startedMs: number;
  readonly stagings: NodeStaging[] = [];
  forcedRetires = 0;
  endedMs: number | null = null;
  readonly #reached: Readonly<Record<RotationStep, Set<string>>> = { staged: new Set(), switched: new Set(), retired: new Set() };
  readonly #lastMs: Record<RotationStep, number> = { staged: 0, switched: 0, retired: 0 };

  constructor(oldKeyId: number, keyId: number, startedMs: number) {
    this.oldKeyId = oldKeyId;
    this.keyId = keyId;
    this.startedMs = startedMs;
  }

  see({ atMs, who, message, fields }: LogLine): void {
    const keyId = fields["keyId"];
    if (message === "staged" && keyId === this.keyId) {
      this.stagings.push({ node: who, sas: Number(fields["sas"]), stagingMs: Number(fields["stagingMs"]) });
      this.#reach("staged", who, atMs);
    } else if (message === "phase changed" && keyId === this.keyId) {
      if (fields["to"] === "switched" || fields["to"] === "draining") this.#reach("switched", who, atMs);
    } else if (message.startsWith("old key retired") && keyId === this.oldKeyId) {
      if (message !== "old key retired") this.forcedRetires += 1;
      this.#reach("retired", who, atMs);
    }
  }

  #reach(step: RotationStep, who: string, atMs: number): void {
    if (this.#reached[step].has(who)) return;
    this.#reached[step].add(who);
    this.#lastMs[step] = atMs;
  }

  has(step: RotationStep, node: string): boolean {
    return this.#reached[step].has(node);
  }

  count(step: RotationStep): number {
    return this.#reached[step].size;
  }

  /** Milliseconds from the start until the last of `nodes` did it, null while one has not. */
  afterMs(step: RotationStep, nodes: number): number | null {
    return this.count(step) < nodes ? null : Math.round(this.#lastMs[step] - this.startedMs);
  }
}
