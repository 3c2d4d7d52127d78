/** The state directory of one simulated host, as its agent's process sees it. */
import { succeed } from "../../core/result.js";
import type { StoragePort } from "../../ports/storage.js";
import type { VirtualTime } from "../engine/virtual-time.js";
import type { SimNode } from "./host.js";

/** Saves are atomic and take `saveMs`; a process that dies meanwhile leaves the document before. */
export function storageOf(
  node: SimNode,
  time: VirtualTime,
  isAlive: () => boolean,
  saveMs: () => number,
): StoragePort {
  return {
    load: (name, done) => time.at(time.nowMs, () => isAlive() && done(succeed(node.disk.get(name)?.() ?? null))),
    save: (name, format, done) => {
      time.at(time.nowMs + saveMs(), () => {
        if (!isAlive()) return;
        node.disk.set(name, format);
        node.saves += 1;
        done(succeed(null));
      });
    },
  };
}
