/**
 * Reads SAs and policies from the dataplane and says which keys they have. Nothing is remembered
 * between readings, so a view never shows what was true before: each key is derived again, compared
 * as a digest, and wiped.
 */
import type { Operation, PolicyView, SaView } from "../../core/sa.js";
import type { KernelDump, Recognise } from "../../ports/kernel.js";
import type { KeySource } from "../crypto/key-source.js";
import { PortError } from "../port-error.js";
import { touchedSlots } from "../touched-slots.js";
import type { ControlConnection, PartListener } from "./control-connection.js";
import type { PartReply } from "./control-protocol.js";
import { digestBytes, digestKey } from "./key-digest.js";
import { inSlices } from "./slices.js";

export interface Reading {
  readonly sas: readonly SaView[];
  readonly policies: readonly PolicyView[];
}

/** Collects the parts of a listing. */
interface Collection {
  readonly sas: SaView[];
  readonly policies: PolicyView[];
  readonly add: PartListener;
}

type Connection = Pick<ControlConnection, "list" | "nonce" | "identity">;

/** Everything the dataplane has. @throws PortError when it cannot be reached. */
export async function readAll(
  connection: Connection,
  keySource: KeySource,
  recognise: Recognise,
): Promise<KernelDump> {
  const collection = collect(connection.nonce, keySource, recognise);
  const { counters } = await connection.list({ kind: "dump" }, collection.add);
  return {
    identity: connection.identity,
    sas: collection.sas,
    policies: collection.policies,
    counters,
  };
}

/**
 * What is in the slots that a plan names, executed or not. @throws PortError when the dataplane
 * cannot be reached.
 */
export async function readTouched(
  connection: Connection,
  keySource: KeySource,
  recognise: Recognise,
  stages: readonly (readonly Operation[])[],
): Promise<Reading> {
  const { sas, policies } = touchedSlots(stages.flat());
  const collection = collect(connection.nonce, keySource, recognise);
  const [saSlices, policySlices] = [inSlices(sas), inSlices(policies)];
  for (let turn = 0; turn < Math.max(saSlices.length, policySlices.length); turn += 1) {
    const request = {
      kind: "read",
      sas: saSlices[turn] ?? [],
      policies: policySlices[turn] ?? [],
    } as const;
    await connection.list(request, collection.add);
  }
  return { sas: collection.sas, policies: collection.policies };
}

function collect(nonce: Buffer, keySource: KeySource, recognise: Recognise): Collection {
  const sas: SaView[] = [];
  const policies: PolicyView[] = [];
  const add: PartListener = (part, digests) => {
    if (digests.length !== part.sas.length * digestBytes) {
      throw new PortError(
        "CONTROL_PROTOCOL",
        `${part.sas.length} SAs came with ${digests.length} bytes`,
        true,
      );
    }
    for (const [index, sa] of part.sas.entries()) {
      const digest = digests.subarray(index * digestBytes, (index + 1) * digestBytes);
      sas.push(viewOf(sa, digest, nonce, keySource, recognise));
    }
    policies.push(...part.policies);
  };
  return { sas, policies, add };
}

function viewOf(
  sa: PartReply["sas"][number],
  digest: Buffer,
  nonce: Buffer,
  keySource: KeySource,
  recognise: Recognise,
): SaView {
  const key = recognise(sa.slot);
  const secret = key === null ? null : keySource.derive(key);
  if (secret === null) return { ...sa, key, bytes: "unverifiable" };
  const isEqual = digestKey(nonce, sa.slot, secret.reveal()).equals(digest);
  secret.wipe();
  return { ...sa, key, bytes: isEqual ? "match" : "mismatch" };
}
