/** The key file of one simulated host, as its agent's process sees it. */
import type { KeystorePort } from "../../ports/keystore.js";
import type { VirtualTime } from "../engine/virtual-time.js";
import type { SimNode } from "./host.js";

export function keystoreOf(node: SimNode, time: VirtualTime, isAlive: () => boolean): KeystorePort {
  return {
    watch: (read) => {
      node.keyWatchers.add(read);
      time.post(time.nowMs, () => isAlive() && read(node.keys));
      return () => node.keyWatchers.delete(read);
    },
    forget: () => undefined,
  };
}
