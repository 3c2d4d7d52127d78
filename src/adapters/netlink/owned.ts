/**
 * Everything of Spindle's in the kernel's XFRM of one network namespace, by its mark alone (S6): also
 * what a dead agent, an earlier version or a former address left. It asks neither registry nor state
 * directory, so that it works when nothing else does.
 */
import type { ListedPolicy, ListedSa } from "./codec/model.js";
import { appendDumpPolicies, readPolicy } from "./codec/policy.js";
import { appendDumpSas, readSa } from "./codec/sa.js";
import { isOwnPolicy, isOwnSa, type Ownership } from "./kernel/ownership.js";
import type { RequestSocket } from "./socket/request-socket.js";

/** Without its key bytes, which the socket wipes. */
export type OwnedSa = Omit<ListedSa, "aead">;

export interface Owned {
  readonly sas: readonly OwnedSa[];
  readonly policies: readonly ListedPolicy[];
}

/** @throws PortError when the kernel cannot be read */
export async function findOwned(socket: RequestSocket, ownership: Ownership): Promise<Owned> {
  const sas: OwnedSa[] = [];
  const policies: ListedPolicy[] = [];
  const addSa = (payload: Uint8Array): void => {
    const sa = readSa(payload);
    if (sa !== null && isOwnSa(sa, ownership)) sas.push(withoutKey(sa));
  };
  const addPolicy = (payload: Uint8Array): void => {
    const policy = readPolicy(payload);
    if (policy !== null && isOwnPolicy(policy, ownership)) policies.push(policy);
  };
  await socket.dump(appendDumpSas, addSa, () => (sas.length = 0));
  await socket.dump(appendDumpPolicies, addPolicy, () => (policies.length = 0));
  return { sas, policies };
}

function withoutKey({ aead: _aead, ...rest }: ListedSa): OwnedSa {
  return rest;
}
