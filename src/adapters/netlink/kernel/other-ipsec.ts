/**
 * Programs whose IPsec cannot live beside ours. Cilium with `enable-ipsec` deletes SAs that it does not
 * know, ours among them, so that an agent beside it would lose its outbound SAs again and again.
 */
import { PortError } from "../../port-error.js";
import type { ListedSa } from "../codec/model.js";
import { appendDumpSas, readSa } from "../codec/sa.js";
import type { RequestSocket } from "../socket/request-socket.js";

/** Of all that Cilium makes; it marks every SA. */
const ciliumReqid = 1;

export function isOfCilium({ hasMark, reqid }: Pick<ListedSa, "hasMark" | "reqid">): boolean {
  return hasMark && reqid === ciliumReqid;
}

/** @throws PortError `DATAPLANE_BESIDE_CILIUM` */
export async function refuseBesideCilium(socket: RequestSocket): Promise<void> {
  let count = 0;
  const visit = (payload: Uint8Array): void => {
    const sa = readSa(payload);
    if (sa !== null && isOfCilium(sa)) count += 1;
  };
  await socket.dump(appendDumpSas, visit, () => (count = 0));
  if (count === 0) return;
  const message = `${count} SAs here look like Cilium's (reqid ${ciliumReqid} and a mark), which deletes those of others`;
  throw new PortError("DATAPLANE_BESIDE_CILIUM", message, false);
}
