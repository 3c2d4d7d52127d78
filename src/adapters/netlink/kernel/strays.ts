/**
 * What carries our mark and neither starts nor ends at an address of this node: SAs and policies of
 * an address that it had before. No plan can name them, nobody else owns them, and an outbound
 * policy among them would go on sending as the node that is no more. So they go before anything is
 * reported.
 */
import type { ListedPolicy, ListedSa, XfrmPolicySlot, XfrmSaId } from "../codec/model.js";

export class Strays {
  readonly sas: XfrmSaId[] = [];
  readonly policies: XfrmPolicySlot[] = [];

  get counts(): { readonly sas: number; readonly policies: number } {
    return { sas: this.sas.length, policies: this.policies.length };
  }

  addSa({ family, destination, spi }: ListedSa): void {
    this.sas.push({ family, destination, spi });
  }

  addPolicy({ direction, selector, ifId }: ListedPolicy): void {
    this.policies.push({ direction, selector, ifId });
  }
}
