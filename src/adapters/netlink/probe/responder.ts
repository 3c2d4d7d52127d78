/**
 * Answers probes at the node's own addresses. Invariants: nobody is answered with more than was sent, nor with more than so
 * many packets a second. Where it cannot listen yet (an address that is not there, a port that is taken) it tries again: until
 * then the kernel refuses the port, which proves a path as well.
 */
import type { Socket } from "node:dgram";
import { limits } from "../../../core/limits.js";
import type { AddressFamily, NodeAddresses } from "../../../core/node.js";
import type { Log } from "../../../ports/log.js";
import { answerTo } from "./frame.js";
import { here, openSocket, type Within } from "./sockets.js";

export interface ResponderOptions {
  readonly addresses: NodeAddresses;
  readonly port: number;
  readonly log: Log;
  /** Default: the namespace that the process is in. */
  readonly within?: Within;
}

export interface Responder {
  close(): void;
}

export function startResponder(options: ResponderOptions): Responder {
  const { ipv4, ipv6 } = options.addresses;
  const open = [
    ...(ipv4 === null ? [] : [listen("ipv4", ipv4, options)]),
    ...(ipv6 === null ? [] : [listen("ipv6", ipv6, options)]),
  ];
  return { close: () => open.forEach((one) => one.close()) };
}

function listen(family: AddressFamily, address: string, { port, log, within = here }: ResponderOptions): Responder {
  const budget = makeBudget(() => performance.now());
  let socket: Socket | null = null;
  let timer: NodeJS.Timeout | null = null;
  let isTold = false;
  const lose = ({ code = "", message }: NodeJS.ErrnoException): void => {
    if (!isTold) log.write("warn", "probes are not answered yet", { address, port, code, why: message });
    isTold = true;
    socket?.close();
    socket = null;
    timer = setTimeout(open, limits.probeListenRetryMs).unref();
  };
  const open = (): void => {
    let isLost = false;
    const opened = within(() =>
      openSocket(family, { address, port }, (cause) => {
        isLost = true;
        lose(cause);
      }),
    );
    if (isLost) {
      opened.close();
      return;
    }
    socket = opened;
    // An answer that cannot be sent is one that is lost.
    opened.on("message", (message, { address: to, port: toPort }) => {
      const answer = answerTo(message);
      if (answer !== null && budget()) opened.send(answer, toPort, to, () => undefined);
    });
    opened.unref();
  };
  open();
  return {
    close: () => {
      if (timer !== null) clearTimeout(timer);
      socket?.close();
      socket = null;
    },
  };
}

/** A token bucket: so many a second, and as many at once. */
export function makeBudget(nowMs: () => number): () => boolean {
  const { probeAnswersPerSecond: rate } = limits;
  let [tokens, filledMs] = [rate as number, nowMs()];
  return () => {
    const atMs = nowMs();
    tokens = Math.min(rate, tokens + ((atMs - filledMs) * rate) / 1_000);
    filledMs = atMs;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
}
