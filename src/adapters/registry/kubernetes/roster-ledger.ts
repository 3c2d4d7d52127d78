/**
 * The ledger of the roster: one ConfigMap that only the leader writes, by compare-and-set. It holds
 * which revision and which index come next, which indices were released, and the *intents*: the
 * changes of the roster that it announces and that the objects may not show yet.
 *
 * Invariant: an intent is in the ledger before its object is written, and all intents are carried
 * out, in order, before the ledger announces others. So a leader that stops half way is continued by
 * the next one, and one that was overtaken cannot announce anything.
 */
import { z } from "zod";
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";
import type { ApiClient } from "./api-client.js";
import { configMapsPath, type KubeObject } from "./kube-object.js";
import { rosterRecordSchema, type RosterRecord } from "../schemas.js";

export const ledgerName = "spindle-roster-ledger";
const field = "ledger";

/** A change of the roster: the entry as it will be, or null for a removal. */
export interface RosterIntent {
  readonly name: string;
  readonly revision: number;
  readonly record: RosterRecord | null;
}

export interface ReleasedPlace {
  readonly index: number;
  readonly after: number;
}

export interface Ledger {
  readonly schemaVersion: 1;
  /** Of the last change that was announced. */
  readonly revision: number;
  readonly nextIndex: number;
  readonly released: readonly ReleasedPlace[];
  readonly intents: readonly RosterIntent[];
}

export interface StoredLedger {
  /** Empty: there is none yet. */
  readonly version: string;
  readonly ledger: Ledger;
}

const count = z.number().int().nonnegative();
const ledgerSchema: z.ZodType<Ledger> = z.object({
  schemaVersion: z.literal(1),
  revision: count,
  nextIndex: count.max(limits.nodeIndexMax + 1),
  released: z.array(z.object({ index: count, after: count })).max(limits.rosterReleasedMax),
  intents: z
    .array(
      z.object({
        name: z.string(),
        revision: count,
        record: rosterRecordSchema.nullable(),
      }),
    )
    .max(2 * limits.rosterIntentsMax),
});

const emptyLedger: Ledger = {
  schemaVersion: 1,
  revision: 0,
  nextIndex: 0,
  released: [],
  intents: [],
};

/** What the objects and the fleet record show of what was given out. */
export interface GivenOut {
  /** The highest revision of a node, or that the fleet record promises something for. */
  readonly revision: number;
  /** Indices of nodes on the roster. */
  readonly indices: ReadonlySet<number>;
}

/**
 * The ledger as it must at least be: one from a backup may be older than what was given out since. A lower revision
 * would make new nodes count as covered before anybody has staged for them; an index twice is an SPI twice.
 */
export function notBehind(ledger: Ledger, { revision, indices }: GivenOut): Ledger {
  return {
    ...ledger,
    revision: Math.max(ledger.revision, revision),
    nextIndex: Math.max(ledger.nextIndex, 1 + Math.max(-1, ...indices)),
    released: ledger.released.filter(({ index }) => !indices.has(index)),
  };
}

/**
 * @param isRosterEmpty without a ledger a roster with entries is one whose allotments are lost
 * @throws PortError REGISTRY_LEDGER_LOST, REGISTRY_RECORD_INVALID
 */
export async function readLedger(client: ApiClient, isRosterEmpty: boolean): Promise<StoredLedger> {
  const path = `${configMapsPath(client.namespace)}/${ledgerName}`;
  const answer = await client.send({ method: "GET", path });
  if (answer.kind === "object") return parseLedger(answer.object);
  if (isRosterEmpty) return { version: "", ledger: emptyLedger };
  const message =
    `the ConfigMap ${ledgerName} is gone while there are nodes on the roster: nobody knows which ` +
    "indices were given out; restore the newest copy, or stop the agents and delete all SpindleNodes";
  throw new PortError("REGISTRY_LEDGER_LOST", message, true);
}

/** @returns the new version, or null when somebody else wrote it */
export async function writeLedger(
  client: ApiClient,
  version: string,
  ledger: Ledger,
): Promise<string | null> {
  const path = configMapsPath(client.namespace);
  const head = { apiVersion: "v1", kind: "ConfigMap" };
  const data = { [field]: JSON.stringify(ledger) };
  const answer =
    version === ""
      ? await client.send({
          method: "POST",
          path,
          body: { ...head, metadata: { name: ledgerName }, data },
        })
      : await client.send({
          method: "PUT",
          path: `${path}/${ledgerName}`,
          body: { ...head, metadata: { name: ledgerName, resourceVersion: version }, data },
        });
  return answer.kind === "object" ? answer.object.metadata.resourceVersion : null;
}

function parseLedger({ metadata, data }: KubeObject): StoredLedger {
  const text = z.object({ [field]: z.string() }).safeParse(data);
  const parsed = text.success ? ledgerSchema.safeParse(parseJson(text.data[field])) : null;
  if (parsed?.success === true) {
    return { version: metadata.resourceVersion, ledger: parsed.data };
  }
  const message = `the ConfigMap ${ledgerName} was changed by hand, or a newer version wrote it`;
  throw new PortError("REGISTRY_RECORD_INVALID", message, true);
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return null;
  }
}
