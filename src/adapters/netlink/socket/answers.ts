/**
 * Messages that the kernel put into a request socket, one receive call at a time. An answer that
 * did not arrive is a fault: it is then not known what the kernel did.
 */
import { eachMessage, type ReceivedMessage } from "../codec/received.js";
import type { NetlinkDescriptor } from "./descriptor.js";
import { answerLost } from "./failures.js";

export class Answers {
  readonly #descriptor: Pick<NetlinkDescriptor, "receive">;
  readonly #portId: number;

  /** @param portId of the socket: what is for others is dropped */
  constructor(descriptor: Pick<NetlinkDescriptor, "receive">, portId: number) {
    this.#descriptor = descriptor;
    this.#portId = portId;
  }

  /**
   * @returns "cut" when a message was longer than the receive buffer, which is larger from now on
   * @throws PortError `NETLINK_ANSWER_LOST`
   */
  receive(visit: (message: ReceivedMessage) => void): "whole" | "cut" {
    const received = this.#descriptor.receive(true);
    if (received.kind === "cut") return "cut";
    if (received.kind === "nothing") throw answerLost("none came");
    if (received.kind === "overrun") throw answerLost("the socket's buffer was full");
    const isWhole = eachMessage(received.content, (message) => {
      if (message.portId === this.#portId) visit(message);
    });
    if (!isWhole) throw answerLost("it is malformed");
    return "whole";
  }

  /** For answers that are no dump: they are a few hundred bytes, so that none is ever cut. */
  receiveAnswers(visit: (message: ReceivedMessage) => void): void {
    if (this.receive(visit) === "cut") throw answerLost("it was cut");
  }

  /** Throws away what a request that failed midway left behind, so that it ends too. */
  drain(): void {
    while (this.#descriptor.receive(false).kind !== "nothing");
  }
}
