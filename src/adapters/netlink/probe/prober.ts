/**
 * Sends one probe from the node's own address and waits for its answer. It is a connected socket, so that a peer's kernel that
 * refuses the port is heard too: to refuse it must have decrypted the packet, which proves the path without an agent there.
 */
import { limits } from "../../../core/limits.js";
import { probeUnanswered, type Probe, type ProbeOutcome } from "../../../core/probe.js";
import { isAnswerTo, makeProbe } from "./frame.js";
import { openSocket } from "./sockets.js";

/** The packet has left when this returns. Ends with the answer, after `limits.probeMsMax`, or when `signal` aborts. */
export function sendProbe({ family, local, remote }: Probe, port: number, signal: AbortSignal): Promise<ProbeOutcome> {
  const probe = makeProbe();
  return new Promise((resolve) => {
    const sentMs = performance.now();
    let isOver = false;
    const end = (outcome: ProbeOutcome): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
      socket.removeAllListeners().on("error", () => undefined).close();
      resolve(outcome);
    };
    const giveUp = (): void => end(failure(probeUnanswered, `no answer within ${limits.probeMsMax} ms`));
    const answered = (): void => end({ kind: "answered", roundTripMs: performance.now() - sentMs });
    const fail = ({ code = "" }: NodeJS.ErrnoException): void => {
      if (code === "ECONNREFUSED") answered();
      else end(failure("PROBE_NOT_SENT", `the packet could not be sent (${code})`));
    };
    const timer = setTimeout(giveUp, limits.probeMsMax);
    const socket = openSocket(family, { address: local.address, port: 0 }, (cause) => void setImmediate(fail, cause));
    signal.addEventListener("abort", giveUp);
    socket.on("message", (message) => {
      if (isAnswerTo(probe, message)) answered();
    });
    socket.connect(port, remote.address, (cause?: Error) => {
      if (cause !== undefined) fail(cause);
    });
    try {
      socket.send(probe, (cause) => {
        if (cause !== null) fail(cause);
      });
    } catch {
      // It is not connected, and why is told above.
    }
  });
}

function failure(code: string, message: string): ProbeOutcome {
  return { kind: "failed", code, message };
}
