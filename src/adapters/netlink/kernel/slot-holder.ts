/**
 * Who holds the place of an SA that the kernel refused as EEXIST. It looks an SA up by destination
 * and SPI alone, so that what is in the way need not be in the slot that the plan sees.
 */
import { saSlotOf, type Operation, type SaSpec } from "../../../core/sa.js";
import { formatSpi } from "../../../core/spi.js";
import { slotForeign } from "../../../ports/kernel.js";
import { encapsulationEspInUdp } from "../codec/constants.js";
import type { ListedSa, XfrmSa } from "../codec/model.js";
import { readSa } from "../codec/sa.js";
import { isOwnSa } from "./ownership.js";
import { compareKey, getSas, type Reader } from "./read-back.js";
import { isInSlot, xfrmSaOf } from "./translate.js";

/**
 * `equal`: it is the very SA. `other-key`: ours, in the same slot; the plan deletes it first.
 * `in-the-way`: ours, and no plan can name it, such as one of another mode or peer address.
 */
export type Holder = "equal" | "other-key" | "in-the-way" | "foreign";

export async function findHolder(reader: Reader, sa: SaSpec): Promise<Holder> {
  const slot = saSlotOf(sa);
  const [holder] = await getSas(reader, [slot], (payload): Holder => {
    const listed = readSa(payload);
    if (listed === null || !isOwnSa(listed, reader.local.ownership)) return "foreign";
    const hasKey = compareKey(reader.keySource, listed, sa.key) === "match";
    const isShaped = isInSlot(listed, slot) && hasShapeOf(listed, xfrmSaOf(sa, reader.local));
    if (isShaped) return hasKey ? "equal" : "other-key";
    // An outbound SA with this key has counted with it: it is never made a second time (S4).
    return hasKey && sa.direction === "out" ? "other-key" : "in-the-way";
  });
  // It is gone again: another try finds the place free.
  return holder ?? "in-the-way";
}

function hasShapeOf(listed: ListedSa, wanted: XfrmSa): boolean {
  const [one, other] = [listed.encapsulation, wanted.encapsulation];
  const hasPorts = one?.source === other?.source && one?.destination === other?.destination;
  return listed.mode === wanted.mode && hasPorts && (one === null || one.type === encapsulationEspInUdp);
}

export interface Why {
  readonly code: string;
  readonly message: string;
}

export function ownHolder(operation: Operation): Why {
  const what = operation.kind === "install-sa" ? ` ${formatSpi(operation.sa.spi)}` : "";
  return { code: "EEXIST", message: `another security association of ours holds the slot${what}` };
}

export function foreignHolder(what: string): Why {
  const message = `a ${what} that is not ours holds the slot; it is left alone`;
  return { code: slotForeign, message };
}
