/**
 * Whether this kernel has what an agent needs, found by doing it: an SA with our cipher is made for
 * each address family of the node, and deleted again. It starts and ends at the node itself and has
 * an SPI below those of any key, so no packet uses it.
 */
import { randomBytes } from "node:crypto";
import { modeOf, type AddressFamily } from "../../../core/node.js";
import { isCollision } from "../codec/errno.js";
import type { XfrmSa } from "../codec/model.js";
import { appendDeleteSa, appendSa } from "../codec/sa.js";
import { kernelFailure } from "../socket/failures.js";
import type { RequestSocket } from "../socket/request-socket.js";
import type { LocalNode } from "./local-node.js";

/** Key id 0, which no fleet key has. */
const checkSpi = 0x00ff_fff0;
const keyBytes = 20;

/** @throws PortError what the kernel refused it with, e.g. `EPROTONOSUPPORT` without ESP */
export async function checkEsp(socket: RequestSocket, local: LocalNode): Promise<void> {
  const { ipv4, ipv6 } = local.addresses;
  if (ipv4 !== null) await checkFamily(socket, local, "ipv4", ipv4);
  if (ipv6 !== null) await checkFamily(socket, local, "ipv6", ipv6);
}

async function checkFamily(
  socket: RequestSocket,
  { ownership, replayWindow, addresses }: LocalNode,
  family: AddressFamily,
  address: string,
): Promise<void> {
  const { udpPort } = addresses;
  const sa: XfrmSa = {
    family,
    source: address,
    destination: address,
    spi: checkSpi,
    mode: modeOf(addresses),
    reqid: ownership.reqid,
    ifId: null,
    replayWindow,
    esn: true,
    encapsulation: udpPort === null ? null : { source: udpPort, destination: udpPort },
  };
  const key = randomBytes(keyBytes);
  const [refused] = await socket.send([sa], (batch, one) => appendSa(batch, "add", one, key));
  key.fill(0);
  // Another agent that starts at the same moment made it, so the kernel can.
  if (refused !== undefined && isCollision(refused.error)) return;
  if (refused !== undefined) throw kernelFailure(refused.error);
  await socket.send([sa], appendDeleteSa);
}
