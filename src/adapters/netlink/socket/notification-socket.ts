/**
 * What others and we ourselves change in the kernel's XFRM, as it happens. Notifications can be
 * lost when many come at once: the listener is then told so, and must read everything. They are a
 * reason to look, never the truth.
 */
import type { node as koffiNode } from "koffi";
import { limits } from "../../../core/limits.js";
import type { Stop } from "../../../ports/failure.js";
import { xfrmGroup } from "../codec/constants.js";
import type { Notification } from "../codec/model.js";
import { readNotification } from "../codec/notification.js";
import { eachMessage } from "../codec/received.js";
import { NetlinkDescriptor, type Received } from "./descriptor.js";
import { loadLibc, type Libc } from "./libc.js";

export type Heard = Notification | { readonly kind: "lost" };

export type NotificationDescriptor = Pick<
  NetlinkDescriptor,
  "fd" | "receive" | "wipeReceived" | "close"
>;

/** @throws PortError, e.g. `EPERM` without CAP_NET_ADMIN. */
export async function listenToXfrm(
  groups: readonly (keyof typeof xfrmGroup)[],
  hear: (heard: Heard) => void,
): Promise<Stop> {
  const libc = await loadLibc();
  const descriptor = new NetlinkDescriptor(libc);
  try {
    for (const group of groups) descriptor.join(xfrmGroup[group]);
  } catch (cause) {
    descriptor.close();
    throw cause;
  }
  const socket = new NotificationSocket(descriptor, libc.poll, hear);
  return () => socket.close();
}

export class NotificationSocket {
  readonly #descriptor: NotificationDescriptor;
  readonly #poll: Libc["poll"];
  readonly #hear: (heard: Heard) => void;
  #handle: koffiNode.PollHandle | null = null;

  constructor(
    descriptor: NotificationDescriptor,
    poll: Libc["poll"],
    hear: (heard: Heard) => void,
  ) {
    this.#descriptor = descriptor;
    this.#poll = poll;
    this.#hear = hear;
    this.#startPoll();
  }

  close(): void {
    if (this.#handle === null) return;
    this.#stopPoll();
    this.#descriptor.close();
  }

  #startPoll(): void {
    this.#handle = this.#poll(this.#descriptor.fd, { readable: true }, () => this.#readTurn());
  }

  #stopPoll(): void {
    this.#handle?.close();
    this.#handle = null;
  }

  /** Readiness is level-triggered: what this turn leaves is told again. */
  #readTurn(): void {
    const endMs = performance.now() + limits.netlinkTurnMsMax;
    while (this.#handle !== null && performance.now() < endMs) {
      const received = this.#descriptor.receive(false);
      if (received.kind === "nothing") break;
      this.#take(received);
    }
    this.#descriptor.wipeReceived();
  }

  #take(received: Received): void {
    if (received.kind === "bytes") {
      eachMessage(received.content, (message) => {
        const notification = readNotification(message);
        if (notification !== null) this.#hear(notification);
      });
      return;
    }
    if (received.kind === "overrun") this.#restartPoll();
    this.#hear({ kind: "lost" });
  }

  /** After an overrun the poll handle stays silent for ever (measured with koffi 3.3.4). */
  #restartPoll(): void {
    this.#stopPoll();
    this.#startPoll();
  }
}
