/**
 * Numbered datagrams on some ways, one on each every 20 ms. What did not arrive is told by way and number,
 * and which sends the kernel refused: one loss on both ways at once has another cause than one of a family.
 */
import { setTimeout as pause } from "node:timers/promises";
import { familyOf, type End } from "./arrival.js";
import { openDatagramSocket, type DatagramSocket } from "./datagrams.js";

export const streamPort = 5_000;
const intervalMs = 20;
/** What is under way when the last one was sent arrives in less, or is lost. */
const arrivalMsMax = 1_000;

/** Where datagrams leave and arrive. */
export interface Way {
  readonly sender: DatagramSocket;
  readonly receiver: DatagramSocket;
  readonly remote: string;
}

export interface Flow {
  readonly sent: number;
  /** One word for each that did not arrive once: `REMOTE#NUMBER`, with the error number of a refused send. */
  readonly lost: readonly string[];
}

export interface Stream {
  /** Sends no more. A test that fails before the end leaves nothing that keeps the guest running. */
  stop(): void;
  /** Stops sending, and waits for what is under way. */
  end(): Promise<Flow>;
}

export function openWay(from: End, to: End): Way {
  const [sender, receiver] = [from, to].map(({ namespace, address }) =>
    namespace.within(() => openDatagramSocket(familyOf(address), address, streamPort)),
  );
  return { sender: sender!, receiver: receiver!, remote: to.address };
}

export function startStream(ways: readonly Way[]): Stream {
  let rounds = 0;
  /** By way and number; the value says how a send was refused. */
  const missing = new Map<string, string>();
  const receive = (): void => {
    for (const { receiver, remote } of ways) {
      for (const number of receiver.receiveAll()) missing.delete(`${remote}#${number}`);
    }
  };
  for (const { receiver } of ways) receiver.receiveAll();
  const timer = setInterval(() => {
    for (const { sender, remote } of ways) {
      const error = sender.send(`${rounds}`, remote, streamPort);
      missing.set(`${remote}#${rounds}`, error === 0 ? "" : ` refused with ${error}`);
    }
    rounds += 1;
    receive();
  }, intervalMs);
  const stop = (): void => clearInterval(timer);
  return {
    stop,
    end: async () => {
      stop();
      for (let waitedMs = 0; missing.size > 0 && waitedMs < arrivalMsMax; waitedMs += intervalMs) {
        await pause(intervalMs);
        receive();
      }
      return { sent: rounds * ways.length, lost: [...missing].map((one) => one.join("")) };
    },
  };
}
