/**
 * What others and we ourselves change in the kernel's XFRM or routes, as it happens. Notifications can be
 * lost when many come at once: the listener is then told so, and must read everything. They are a
 * reason to look, never the truth.
 */
import type { node as koffiNode } from "koffi";
import { limits } from "../../../core/limits.js";
import { xfrmGroup } from "../codec/constants.js";
import type { Notification } from "../codec/model.js";
import { readNotification } from "../codec/notification.js";
import { eachMessage, type ReceivedMessage } from "../codec/received.js";
import { NetlinkDescriptor, netlinkProtocol, type Received } from "./descriptor.js";
import type { Libc } from "./libc.js";

/** Some notifications did not come. */
export interface Lost {
  readonly kind: "lost";
}

export type Heard = Notification | Lost;

/** @param portId of the socket whose request made the change, 0 for none */
export type Hear<N = Notification> = (heard: N | Lost, portId: number) => void;

/** What a group sends, as a machine knows it; null for what nobody follows. */
export interface Channel<N> {
  readonly protocol: number;
  readonly groups: readonly number[];
  readonly read: (message: ReceivedMessage) => N | null;
}

export type NotificationDescriptor = Pick<
  NetlinkDescriptor,
  "fd" | "receive" | "wipeReceived" | "close"
>;

/** As `listen`. */
export function listenToXfrm(
  libc: Libc,
  groups: readonly (keyof typeof xfrmGroup)[],
  hear: Hear,
): NotificationSocket<Notification> {
  const numbers = groups.map((group) => xfrmGroup[group]);
  return listen(libc, { protocol: netlinkProtocol.xfrm, groups: numbers, read: readNotification }, hear);
}

/**
 * Opens it in the network namespace that the thread is in.
 * @throws PortError, e.g. `EPERM` without CAP_NET_ADMIN
 */
export function listen<N>(libc: Libc, { protocol, groups, read }: Channel<N>, hear: Hear<N>): NotificationSocket<N> {
  const descriptor = new NetlinkDescriptor(libc, protocol);
  try {
    for (const group of groups) descriptor.join(group);
  } catch (cause) {
    descriptor.close();
    throw cause;
  }
  return new NotificationSocket(descriptor, libc.poll, read, hear);
}

export class NotificationSocket<N> {
  readonly #descriptor: NotificationDescriptor;
  readonly #poll: Libc["poll"];
  readonly #read: Channel<N>["read"];
  readonly #hear: Hear<N>;
  #handle: koffiNode.PollHandle | null = null;
  #hasLost = false;
  readonly #nowMs: () => number;

  constructor(
    descriptor: NotificationDescriptor,
    poll: Libc["poll"],
    read: Channel<N>["read"],
    hear: Hear<N>,
    nowMs = (): number => performance.now(),
  ) {
    this.#nowMs = nowMs;
    this.#descriptor = descriptor;
    this.#poll = poll;
    this.#read = read;
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

  /**
   * Readiness is level-triggered: what this turn leaves is told again. But not an overrun, of which
   * only the first receive call tells, so there is one however late the turn begins; and not that
   * the queue has become empty, so as long as a loss is untold the next turn comes by itself.
   */
  #readTurn(): void {
    const endMs = this.#nowMs() + limits.netlinkTurnMsMax;
    do {
      const received = this.#descriptor.receive(false);
      if (received.kind === "nothing") {
        this.#tellLoss();
        break;
      }
      this.#take(received);
    } while (this.#handle !== null && this.#nowMs() < endMs);
    this.#descriptor.wipeReceived();
    if (this.#hasLost) setImmediate(() => this.#handle !== null && this.#readTurn());
  }

  /**
   * Only when the queue is empty: after an overrun the kernel drops everything, without a further
   * word, until it is (NETLINK_S_CONGESTED). A listener that reads earlier would miss what follows.
   */
  #tellLoss(): void {
    if (!this.#hasLost) return;
    this.#hasLost = false;
    this.#hear({ kind: "lost" }, 0);
  }

  #take(received: Received): void {
    if (received.kind === "bytes") {
      const isWhole = eachMessage(received.content, (message) => {
        const notification = this.#read(message);
        if (notification !== null) this.#hear(notification, message.portId);
      });
      if (!isWhole) this.#hasLost = true;
      return;
    }
    this.#hasLost = true;
    if (received.kind === "overrun") this.#restartPoll();
  }

  /** libuv stops a poll handle whose descriptor has an error (seen with koffi 3.3.4). */
  #restartPoll(): void {
    this.#stopPoll();
    this.#startPoll();
  }
}
