/**
 * What our objects hold, each kind's `spec` and `status`. The records are those of every registry;
 * here is what Kubernetes adds: who writes which half, and words for `kubectl get`. The CRDs are
 * made from these schemas (custom-resources.ts).
 */
import { z } from "zod";
import type { IncarnationId, NodeAddresses, RosterRevision } from "../../../core/node.js";
import {
  addressesSchema,
  addressesVersion,
  fleetRecordSchema,
  incarnationIdSchema,
  operatorRequestSchema,
  reportSchema,
  rosterRecordSchema,
  type RosterRecord,
} from "../schemas.js";
import { rotationRecordSchema } from "../schemas.js";
import { linkRecordSchema, linkRequestSchema, siteReportSchema } from "../gateway-schemas.js";

const shown = z.string().max(256).optional();

/** How conditions look everywhere in Kubernetes. */
const conditions = z
  .array(
    z.object({
      type: z.string().max(64),
      status: z.enum(["True", "False", "Unknown"]),
      reason: z.string().max(128),
      message: z.string().max(4_096),
      observedGeneration: z.number().int().nonnegative(),
      lastTransitionTime: z.string().max(64),
    }),
  )
  .max(16)
  .optional();

export type Condition = NonNullable<z.infer<typeof conditions>>[number];
export const conditionsSchema = z.object({ conditions });

/** What a node asks to be on the roster with. `attempt` differs each time it asks. */
export interface Registration {
  readonly schemaVersion: 1 | 2;
  readonly incarnationId: IncarnationId;
  readonly addresses: NodeAddresses;
  readonly attempt: string;
}

export const registrationSchema: z.ZodType<Registration> = z.object({
  schemaVersion: addressesVersion,
  incarnationId: incarnationIdSchema,
  addresses: addressesSchema,
  attempt: z.string().max(64),
});

/** A roster entry as the leader wrote it, or the mark of its removal. */
export interface AdmittedNode {
  readonly state: "admitted" | "removed";
  /** Of the roster change that this object shows. */
  readonly revision: RosterRevision;
  /** Over all of it: a change by hand is noticed and not obeyed. */
  readonly digest: string;
  /** Null when the node was removed. */
  readonly record: RosterRecord | null;
}

export const admittedNodeSchema = z.object({
  state: z.enum(["admitted", "removed"]),
  revision: z.number().int().nonnegative(),
  digest: z.string().meta({ pattern: "^[0-9a-f]{64}$" }),
  record: rosterRecordSchema.nullable(),
});

const nodeSpec = admittedNodeSchema;
const reportStatus = z.intersection(
  reportSchema,
  z.object({ conditions, shownPhase: shown, shownKeys: shown, shownSending: shown }),
);
const fleetStatus = z.intersection(fleetRecordSchema, z.object({ conditions, shownKeys: shown }));
const rotationSpec = z.object({
  rotation: z.number().int().nonnegative().optional(),
  request: operatorRequestSchema.optional(),
});
const rotationStatus = z.intersection(rotationRecordSchema, z.object({ conditions }));

export const objectSchemas = {
  SpindleNode: { spec: nodeSpec, status: null },
  SpindleReport: { spec: registrationSchema, status: reportStatus },
  SpindleFleet: { spec: null, status: fleetStatus },
  SpindleRotation: { spec: rotationSpec, status: rotationStatus },
  // Each is written by one program alone, as a whole: all of it is spec.
  SpindleLink: { spec: linkRecordSchema, status: null },
  SpindleLinkReport: { spec: siteReportSchema, status: null },
  SpindleLinkRequest: { spec: linkRequestSchema, status: null },
} as const;

export type Kind = keyof typeof objectSchemas;
