/**
 * Reads SAs and policies of ours from the kernel and says which keys they have. Nothing is
 * remembered between readings: each key is derived again, compared, and wiped.
 */
import { timingSafeEqual } from "node:crypto";
import type { KeyRef, Operation, PolicyView, SaSlot, SaView } from "../../../core/sa.js";
import { slotForeign, type Recognise } from "../../../ports/kernel.js";
import type { Log } from "../../../ports/log.js";
import type { KeySource } from "../../crypto/key-source.js";
import { PortError } from "../../port-error.js";
import { touchedSlots } from "../../touched-slots.js";
import { isAbsence } from "../codec/errno.js";
import type { ListedPolicy, ListedSa } from "../codec/model.js";
import { appendDumpPolicies, appendGetPolicy, readPolicy } from "../codec/policy.js";
import { appendDumpSas, appendGetSa, readSa } from "../codec/sa.js";
import { kernelFailure } from "../socket/failures.js";
import type { Answer, RequestSocket } from "../socket/request-socket.js";
import { isGuardPolicy, keepGuard } from "./guard-keeper.js";
import { isOwnPolicy, isOwnSa } from "./ownership.js";
import { remove } from "./removal.js";
import { Strays } from "./strays.js";
import type { LocalNode } from "./local-node.js";
import { PolicyReading } from "./policy-reading.js";
import { partsOf, xfrmPolicySlotOf, type PolicyPart } from "./policy-translation.js";
import { isInSlot, refuse, slotOfSa, xfrmSaIdOf } from "./translate.js";
import type { TunnelRoutes } from "./tunnel-routes.js";

export interface Reader {
  readonly socket: RequestSocket;
  readonly local: LocalNode;
  readonly keySource: KeySource;
  readonly log: Log;
  /** Null but in tunnel mode. */
  readonly routes: TunnelRoutes | null;
}

export interface Reading {
  readonly sas: readonly SaView[];
  readonly policies: readonly PolicyView[];
}

/** Everything of ours, after what no plan could name was removed. @throws PortError */
export async function readAll(reader: Reader, recognise: Recognise): Promise<Reading> {
  const { socket, local } = reader;
  const sas: SaView[] = [];
  const policies = new PolicyReading(local);
  const listed: ListedPolicy[] = [];
  const guards: ListedPolicy[] = [];
  const strays = new Strays();
  const addSa = (payload: Uint8Array): void => {
    const sa = readSa(payload);
    if (sa === null || !isOwnSa(sa, local.ownership)) return;
    const slot = slotOfSa(sa, local);
    if (slot === null) strays.addSa(sa);
    else sas.push(viewOfSa(reader, sa, slot, recognise(slot)));
  };
  const addPolicy = (payload: Uint8Array): void => {
    const policy = readPolicy(payload);
    if (policy === null || !isOwnPolicy(policy, local.ownership)) return;
    if (isGuardPolicy(policy, local)) {
      guards.push(policy);
      return;
    }
    if (policies.add(policy)) listed.push(policy);
    else strays.addPolicy(policy);
  };
  await socket.dump(appendDumpSas, addSa, () => {
    sas.length = 0;
    strays.sas.length = 0;
  });
  await socket.dump(appendDumpPolicies, addPolicy, () => {
    policies.clear();
    listed.length = 0;
    guards.length = 0;
    strays.policies.length = 0;
  });
  await putGuardRight(reader, guards);
  await removeStrays(reader, strays);
  await reader.routes?.keep(listed);
  return { sas, policies: policies.done() };
}

/** What another program put in our place is its own (S6): that is told, and the rest goes on. */
async function putGuardRight({ socket, local, log }: Reader, guards: readonly ListedPolicy[]): Promise<void> {
  try {
    const mended = await keepGuard(socket, local, guards);
    if (mended > 0) log.write("warn", "block and bypass policies were put right", { mended });
  } catch (cause) {
    if (!(cause instanceof PortError) || cause.code !== slotForeign) throw cause;
    log.write("error", "plain packets are not blocked everywhere", { code: cause.code, why: cause.message });
  }
}

async function removeStrays({ socket, log }: Reader, strays: Strays): Promise<void> {
  const { counts } = strays;
  if (counts.sas + counts.policies === 0) return;
  await remove(socket, strays);
  log.write("warn", "leftovers of a former address of this node were removed", counts);
}

/** What is in the slots that a plan names, executed or not. @throws PortError */
export async function readTouched(
  reader: Reader,
  recognise: Recognise,
  stages: readonly (readonly Operation[])[],
): Promise<Reading> {
  const runnable = stages.flat().filter((operation) => refuse(operation, reader.local) === null);
  const slots = touchedSlots(runnable);
  const read = (payload: Uint8Array, slot: SaSlot): SaView | null => {
    const sa = readSa(payload);
    if (sa === null || !isOwnSa(sa, reader.local.ownership) || !isInSlot(sa, slot)) return null;
    return viewOfSa(reader, sa, slot, recognise(slot));
  };
  const sas = await getSas(reader, slots.sas, read);
  const reading = new PolicyReading(reader.local);
  for (const policy of await getPolicies(reader, slots.policies.flatMap(partsOf))) {
    if (policy !== null && isOwnPolicy(policy, reader.local.ownership)) reading.add(policy);
  }
  return { sas: sas.filter((sa) => sa !== null), policies: reading.done() };
}

/** All policies of ours, for the routes that go with them. @throws PortError */
export async function keepRoutes({ socket, local, routes }: Reader): Promise<void> {
  const listed: ListedPolicy[] = [];
  const add = (payload: Uint8Array): void => {
    const policy = readPolicy(payload);
    if (policy !== null && isOwnPolicy(policy, local.ownership)) listed.push(policy);
  };
  await socket.dump(appendDumpPolicies, add, () => (listed.length = 0));
  await routes?.keep(listed);
}

/** Of each slot what `read` makes of the SA that the kernel has there, whoever's it is. */
export async function getSas<T>(
  { socket, local }: Reader,
  slots: readonly SaSlot[],
  read: (payload: Uint8Array, slot: SaSlot) => T,
): Promise<readonly (T | null)[]> {
  const ids = slots.map((slot) => xfrmSaIdOf(slot, local));
  const payloads = await socket.getMany(ids, appendGetSa, (payload) => payload.slice());
  return payloads.map((answer, place) => {
    const payload = foundOrNull(answer);
    if (payload === null) return null;
    try {
      return read(payload, slots[place]!);
    } finally {
      payload.fill(0);
    }
  });
}

/** Of each part the policy that the kernel has there, whoever's it is. */
export async function getPolicies(
  { socket, local }: Reader,
  parts: readonly PolicyPart[],
): Promise<readonly (ListedPolicy | null)[]> {
  const wanted = parts.map((part) => xfrmPolicySlotOf(part, local));
  return (await socket.getMany(wanted, appendGetPolicy, readPolicy)).map(foundOrNull);
}

/** Null for what is absent (ENOENT, ESRCH). @throws PortError for any other refusal */
function foundOrNull<T>(answer: Answer<T>): T | null {
  if ("found" in answer) return answer.found;
  if (isAbsence(answer.error)) return null;
  throw kernelFailure(answer.error);
}

function viewOfSa(reader: Reader, sa: ListedSa, slot: SaSlot, key: KeyRef | null): SaView {
  return {
    slot,
    key,
    bytes: key === null ? "unverifiable" : compareKey(reader.keySource, sa, key),
    packets: sa.packets,
    sequence: slot.direction === "in" ? sa.receivedSequence : sa.sentSequence,
    use: { octets: sa.bytes, idleMs: idleMsOf(sa), esn: sa.esn },
  };
}

/** The kernel counts in whole seconds of the wall clock, which may be set back. */
function idleMsOf({ lastUsedAt }: ListedSa): number | null {
  return lastUsedAt === null ? null : Math.max(0, Date.now() - lastUsedAt * 1_000);
}

/** Are the bytes in the kernel those derived for the key? */
export function compareKey(keySource: KeySource, sa: ListedSa, key: KeyRef): SaView["bytes"] {
  if (sa.mode !== key.mode) return "mismatch";
  const secret = keySource.derive(key);
  if (secret === null || sa.aead === null) return "unverifiable";
  const derived = secret.reveal();
  const isEqual = derived.length === sa.aead.key.length && timingSafeEqual(derived, sa.aead.key);
  secret.wipe();
  return isEqual ? "match" : "mismatch";
}
