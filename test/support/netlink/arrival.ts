/** Whether a datagram gets from one place to another, whatever is between them. */
import { setTimeout as pause } from "node:timers/promises";
import type { Family } from "../../../src/adapters/netlink/codec/model.js";
import { openDatagramSocket } from "./datagrams.js";
import type { Namespace } from "./namespace.js";

/** A host, or one of its addresses. */
export interface End {
  readonly namespace: Namespace;
  readonly address: string;
}

export const familyOf = (address: string): Family => (address.includes(":") ? "ipv6" : "ipv4");

/** Does a datagram arrive? */
export async function arrives(from: End, to: End): Promise<boolean> {
  const port = 5_200;
  const [sender, receiver] = [from, to].map(({ namespace, address }) =>
    namespace.within(() => openDatagramSocket(familyOf(address), address, port)),
  );
  try {
    for (let attempt = 0; attempt < 12; attempt += 1) {
      sender!.send("probe", to.address, port);
      await pause(40);
      if (receiver!.receiveAll().length > 0) return true;
    }
    return false;
  } finally {
    sender!.close();
    receiver!.close();
  }
}
