/**
 * What carries our mark and neither starts nor ends at an address of this node: SAs and policies of
 * an address that it had before. No plan can name them, nobody else owns them, and an outbound
 * policy among them would go on sending as the node that is no more. So they go before anything is
 * reported, policies first.
 */
import { isAbsence } from "../codec/errno.js";
import type { ListedPolicy, ListedSa, XfrmPolicySlot, XfrmSaId } from "../codec/model.js";
import { appendDeletePolicy } from "../codec/policy.js";
import { appendDeleteSa } from "../codec/sa.js";
import { kernelFailure } from "../socket/failures.js";
import type { Refused, RequestSocket } from "../socket/request-socket.js";

export class Strays {
  readonly #sas: XfrmSaId[] = [];
  readonly #policies: XfrmPolicySlot[] = [];

  get counts(): { readonly sas: number; readonly policies: number } {
    return { sas: this.#sas.length, policies: this.#policies.length };
  }

  addSa({ family, destination, spi }: ListedSa): void {
    this.#sas.push({ family, destination, spi });
  }

  addPolicy({ direction, selector, ifId }: ListedPolicy): void {
    this.#policies.push({ direction, selector, ifId });
  }

  forgetSas(): void {
    this.#sas.length = 0;
  }

  forgetPolicies(): void {
    this.#policies.length = 0;
  }

  /** @throws PortError when the kernel refuses for another reason than that they are gone */
  async remove(socket: RequestSocket): Promise<void> {
    assertGone(await socket.send(this.#policies, appendDeletePolicy));
    assertGone(await socket.send(this.#sas, appendDeleteSa));
  }
}

function assertGone(refused: readonly Refused[]): void {
  const fault = refused.find(({ error }) => !isAbsence(error));
  if (fault !== undefined) throw kernelFailure(fault.error);
}
