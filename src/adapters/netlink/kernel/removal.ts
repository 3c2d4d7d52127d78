/** Takes SAs and policies out of the kernel whatever they are for. Deleting the absent succeeds. */
import { isAbsence } from "../codec/errno.js";
import type { XfrmPolicySlot, XfrmSaId } from "../codec/model.js";
import { appendDeletePolicy } from "../codec/policy.js";
import { appendDeleteSa } from "../codec/sa.js";
import { kernelFailure } from "../socket/failures.js";
import type { Refused, RequestSocket } from "../socket/request-socket.js";

export interface Removable {
  readonly sas: readonly XfrmSaId[];
  readonly policies: readonly XfrmPolicySlot[];
}

/**
 * Policies first: one that stayed behind its SA would keep packets back.
 * @throws PortError when the kernel refuses for another reason than that they are gone
 */
export async function remove(socket: RequestSocket, { sas, policies }: Removable): Promise<void> {
  assertGone(await socket.send(policies, appendDeletePolicy));
  assertGone(await socket.send(sas, appendDeleteSa));
}

function assertGone(refused: readonly Refused[]): void {
  const fault = refused.find(({ error }) => !isAbsence(error));
  if (fault !== undefined) throw kernelFailure(fault.error);
}
