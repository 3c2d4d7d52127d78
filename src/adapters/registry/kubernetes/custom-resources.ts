/**
 * The custom resource definitions, made from the schemas that the adapter itself reads and writes
 * by. `tools/crds.mjs` writes them to deploy/; a test holds the files to this.
 */
import { type z } from "zod";
import { apiGroup } from "./kube-object.js";
import { objectSchemas, type Kind } from "./object-schemas.js";
import { structuralSchema, type StructuralSchema } from "./structural-schema.js";

interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "date" | "boolean";
  readonly jsonPath: string;
  /** Above 0 only with `-o wide`. */
  readonly priority?: number;
  readonly description?: string;
}

interface Names {
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly description: string;
  readonly columns: readonly Column[];
}

const age: Column = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };

const names: Readonly<Record<Kind, Names>> = {
  SpindleNode: {
    plural: "spindlenodes",
    shortNames: ["spn"],
    description:
      "A node on the roster, as the leading controller admitted it. Nobody else writes it: " +
      "a change by hand is not obeyed.",
    columns: [
      { name: "State", type: "string", jsonPath: ".spec.state" },
      { name: "Index", type: "integer", jsonPath: ".spec.record.index" },
      { name: "IPv4", type: "string", jsonPath: ".spec.record.addresses.ipv4" },
      { name: "IPv6", type: "string", jsonPath: ".spec.record.addresses.ipv6" },
      { name: "Incarnation", type: "integer", jsonPath: ".spec.record.incarnationNumber" },
      { name: "Revision", type: "integer", jsonPath: ".spec.revision" },
      age,
    ],
  },
  SpindleReport: {
    plural: "spindlereports",
    shortNames: ["spr"],
    description:
      "What a node asks to be on the roster with (spec), and what it reports (status). " +
      "Deleting it takes the node off the roster.",
    columns: [
      { name: "Phase", type: "string", jsonPath: ".status.shownPhase" },
      { name: "Keys held", type: "string", jsonPath: ".status.shownKeys" },
      { name: "Sending", type: "string", jsonPath: ".status.shownSending" },
      { name: "Through", type: "integer", jsonPath: ".status.through" },
      {
        name: "Admitted",
        type: "string",
        jsonPath: '.status.conditions[?(@.type=="Admitted")].status',
        priority: 1,
      },
      age,
    ],
  },
  SpindleFleet: {
    plural: "spindlefleets",
    shortNames: ["spf"],
    description: "Where the fleet's rotation stands; written by the leading controller alone.",
    columns: [
      { name: "Phase", type: "string", jsonPath: ".status.phase" },
      { name: "Rotation", type: "integer", jsonPath: ".status.rotation" },
      { name: "Current", type: "integer", jsonPath: ".status.current.keyId" },
      { name: "Target", type: "integer", jsonPath: ".status.target.keyId" },
      { name: "Awaited by", type: "string", jsonPath: ".status.awaited.by", priority: 1 },
      { name: "Next key", type: "integer", jsonPath: ".status.awaited.keyId", priority: 1 },
      { name: "Problem", type: "string", jsonPath: ".status.awaited.problem.code" },
      age,
    ],
  },
  SpindleRotation: {
    plural: "spindlerotations",
    shortNames: ["spo"],
    description:
      "One rotation, kept as the audit record (status), or an operator's request (spec).",
    columns: [
      { name: "From", type: "integer", jsonPath: ".status.from.keyId" },
      { name: "To", type: "integer", jsonPath: ".status.to.keyId" },
      { name: "Outcome", type: "string", jsonPath: ".status.outcome" },
      { name: "By", type: "string", jsonPath: ".status.by" },
      { name: "Forced", type: "integer", jsonPath: ".status.forcedRetires" },
      { name: "Errors", type: "integer", jsonPath: ".status.errors" },
      { name: "Reason", type: "string", jsonPath: ".status.reason", priority: 1 },
      age,
    ],
  },
  SpindleLink: {
    plural: "spindlelinks",
    shortNames: ["spl"],
    description: "A VPN link between two sites, its generations and its rotation; written by the gateway hub alone.",
    columns: [
      { name: "Server", type: "string", jsonPath: ".spec.link.server" },
      { name: "Client", type: "string", jsonPath: ".spec.link.client" },
      { name: "Generation", type: "integer", jsonPath: ".spec.lastNumber" },
      { name: "Rotation", type: "string", jsonPath: ".spec.rotation.outcome" },
      { name: "Reason", type: "string", jsonPath: ".spec.rotation.reason", priority: 1 },
      { name: "Cause", type: "string", jsonPath: ".spec.rotation.cause.code", priority: 1 },
      age,
    ],
  },
  SpindleLinkReport: {
    plural: "spindlelinkreports",
    shortNames: ["splr"],
    description: "What one site sees of one VPN link; written by that site alone.",
    columns: [
      { name: "Link", type: "string", jsonPath: ".spec.link" },
      { name: "Site", type: "string", jsonPath: ".spec.site" },
      { name: "Route", type: "string", jsonPath: ".spec.route.kind" },
      age,
    ],
  },
  SpindleLinkRequest: {
    plural: "spindlelinkrequests",
    shortNames: ["splq"],
    description: "An operator's request to rotate a VPN link now; the hub answers it in the link's record.",
    columns: [
      { name: "By", type: "string", jsonPath: ".spec.by" },
      { name: "Why", type: "string", jsonPath: ".spec.why" },
      age,
    ],
  },
};

export const kinds = Object.keys(names) as Kind[];

export function customResourceDefinition(kind: Kind): Readonly<Record<string, unknown>> {
  const { plural, shortNames, description, columns } = names[kind];
  const { spec, status } = objectSchemas[kind];
  const version = {
    name: "v1alpha1",
    served: true,
    storage: true,
    additionalPrinterColumns: columns,
    ...(status === null ? {} : { subresources: { status: {} } }),
    schema: { openAPIV3Schema: objectSchema(description, spec, status) },
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${apiGroup}` },
    spec: {
      group: apiGroup,
      scope: "Namespaced",
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase(), shortNames },
      versions: [version],
    },
  };
}

/** A status is written by parts, the conditions first: no field of it is required. */
function objectSchema(
  description: string,
  spec: z.ZodType | null,
  status: z.ZodType | null,
): StructuralSchema {
  const properties: Record<string, StructuralSchema> = {
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: { type: "object" },
  };
  if (spec !== null) properties["spec"] = structuralSchema(spec);
  if (status !== null) {
    const { required: _required, ...parts } = structuralSchema(status);
    properties["status"] = parts;
  }
  const required = spec === null ? [] : ["spec"];
  return { type: "object", description, properties, ...(required.length > 0 ? { required } : {}) };
}
