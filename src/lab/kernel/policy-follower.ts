/**
 * What a node's kernel does with packets to each of its peers, now: the notifications of its policy
 * table are read up to this moment whenever somebody asks. Begins with an empty table.
 */
import { xfrmGroup } from "../../adapters/netlink/codec/constants.js";
import type { ListedPolicy } from "../../adapters/netlink/codec/model.js";
import { readNotification } from "../../adapters/netlink/codec/notification.js";
import { eachMessage } from "../../adapters/netlink/codec/received.js";
import { NetlinkDescriptor } from "../../adapters/netlink/socket/descriptor.js";
import type { Libc } from "../../adapters/netlink/socket/libc.js";
import { assert } from "../../core/assert.js";

/** What seals packets to one address, from the moment a policy named it. */
export interface Seal {
  readonly spi: number;
}

export class PolicyFollower {
  readonly #descriptor: NetlinkDescriptor;
  readonly #seals = new Map<string, Seal>();

  /** For the namespace that the thread is in. @throws PortError */
  constructor(libc: Libc) {
    this.#descriptor = new NetlinkDescriptor(libc);
    this.#descriptor.join(xfrmGroup.policy);
  }

  /** Takes in what changed. */
  catchUp(): void {
    for (;;) {
      const received = this.#descriptor.receive(false);
      if (received.kind === "nothing") return;
      // Its buffer holds many thousand policies, and the lab asks every few milliseconds.
      assert(received.kind === "bytes", "no notification of a policy was lost");
      eachMessage(received.content, (message) => this.#take(readNotification(message)));
    }
  }

  /**
   * Null while packets to this address, or the network that begins with it, are plain or blocked. Another object after they were, even
   * with the same SPI: an SA is replaced behind a blocking policy.
   */
  sealTo(address: string): Seal | null {
    return this.#seals.get(address) ?? null;
  }

  close(): void {
    this.#descriptor.close();
  }

  #take(notification: ReturnType<typeof readNotification>): void {
    if (notification === null) return;
    if (notification.kind === "policies-flushed") this.#seals.clear();
    if (!("policy" in notification) || notification.policy.direction !== "out") return;
    const { policy, kind } = notification;
    const spi = kind === "policy-deleted" ? null : pinnedSpi(policy);
    const { address } = policy.selector.destination;
    if (spi === null) this.#seals.delete(address);
    else if (this.#seals.get(address)?.spi !== spi) this.#seals.set(address, { spi });
  }
}

function pinnedSpi({ verdict, templates }: ListedPolicy): number | null {
  return verdict === "block" ? null : (templates[0]?.spi ?? null);
}
