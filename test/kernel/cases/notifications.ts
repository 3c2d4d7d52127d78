/** What the notification socket hears of changes that others make. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import koffi from "koffi";
import { xfrmGroup } from "../../../src/adapters/netlink/codec/constants.js";
import { readNotification } from "../../../src/adapters/netlink/codec/notification.js";
import { NetlinkDescriptor } from "../../../src/adapters/netlink/socket/descriptor.js";
import { loadLibc } from "../../../src/adapters/netlink/socket/libc.js";
import {
  listenToXfrm,
  NotificationSocket,
  type Heard,
} from "../../../src/adapters/netlink/socket/notification-socket.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import { ip, ipBatch } from "../../support/netlink/namespace.js";

const ends = "src 192.0.2.1 dst 192.0.2.2";
const cipher = `aead rfc4106(gcm(aes)) 0x${"01".repeat(20)} 128`;
const addSa = (spi: number): string =>
  `xfrm state add ${ends} proto esp spi ${spi} reqid 77 mode transport ${cipher}`;

/** Waits until `isEnough` says so; the guest's time-out ends a wait in vain. */
async function until(isEnough: () => boolean): Promise<void> {
  while (!isEnough()) await pause(5);
}

function describe(heard: Heard): string {
  if ("sa" in heard) return `${heard.kind} ${heard.sa.spi} ${heard.sa.reqid}`;
  if ("policy" in heard) return `${heard.kind} ${heard.policy.direction}`;
  return heard.kind;
}

async function changesAreHeard(): Promise<void> {
  ip("xfrm", "state", "flush");
  ip("xfrm", "policy", "flush");
  const heard: string[] = [];
  const hear = (one: Heard): number => heard.push(describe(one));
  const socket = listenToXfrm(await loadLibc(), ["sa", "policy", "expire"], hear);
  ipBatch([
    addSa(256),
    addSa(257),
    `xfrm state delete ${ends} proto esp spi 256`,
    "xfrm state flush",
    `xfrm policy add ${ends} dir out`,
    `xfrm policy update ${ends} dir out action block`,
    `xfrm policy delete ${ends} dir out`,
    `xfrm policy add ${ends} dir in`,
    "xfrm policy flush",
    `${addSa(258)} limit time-hard 1`,
  ]);
  const expected = [
    ...["sa-added 256 77", "sa-added 257 77", "sa-deleted 256 77", "sas-flushed"],
    ...["policy-added out", "policy-updated out", "policy-deleted out"],
    ...["policy-added in", "policies-flushed"],
    ...["sa-added 258 77", "sa-expired 258 77"],
  ];
  await until(() => heard.length >= expected.length);
  socket.close();
  assert.deepEqual(heard.slice(0, expected.length), expected);
}

/** Many changes at once overrun a small buffer: that is told, and the socket goes on hearing. */
async function overrunIsTold(): Promise<void> {
  ip("xfrm", "state", "flush");
  const libc = await loadLibc();
  const descriptor = new NetlinkDescriptor(libc);
  descriptor.join(xfrmGroup.sa);
  const small = new Uint8Array(new Uint32Array([4_096]).buffer);
  assert.equal(libc.setsockopt(descriptor.fd, 1, 8, small, small.length), 0, `${koffi.errno()}`);
  const heard: string[] = [];
  const socket = new NotificationSocket(descriptor, libc.poll, readNotification, (one) => heard.push(describe(one)));
  ipBatch(Array.from({ length: 100 }, (_, i) => addSa(256 + i)));
  await until(() => heard.includes("lost"));
  assert.ok(heard.length < 100);
  ipBatch([addSa(1_000)]);
  await until(() => heard.includes("sa-added 1000 77"));
  ipBatch([`xfrm state delete ${ends} proto esp spi 1000`]);
  await until(() => heard.includes("sa-deleted 1000 77"));
  socket.close();
}

export const notificationCases: readonly KernelCase[] = [
  { name: "additions, deletions, flushes and expiry by others are heard in order", run: changesAreHeard },
  { name: "an overrun is told, and the socket goes on hearing", run: overrunIsTold },
];
