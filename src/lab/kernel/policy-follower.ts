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

export class PolicyFollower {
  readonly #descriptor: NetlinkDescriptor;
  readonly #spis = new Map<string, number>();

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

  /** The SPI that packets to this address get; null for plain or blocked ones. */
  spiTo(address: string): number | null {
    return this.#spis.get(address) ?? null;
  }

  close(): void {
    this.#descriptor.close();
  }

  #take(notification: ReturnType<typeof readNotification>): void {
    if (notification === null) return;
    if (notification.kind === "policies-flushed") this.#spis.clear();
    if (!("policy" in notification) || notification.policy.direction !== "out") return;
    const { policy, kind } = notification;
    const spi = kind === "policy-deleted" ? null : pinnedSpi(policy);
    const { address } = policy.selector.destination;
    if (spi === null) this.#spis.delete(address);
    else this.#spis.set(address, spi);
  }
}

function pinnedSpi({ verdict, templates }: ListedPolicy): number | null {
  return verdict === "block" ? null : (templates[0]?.spi ?? null);
}
