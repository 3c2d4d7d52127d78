/**
 * One node's dataplane process: the userspace dataplane, its control socket for the agent, and the
 * hosts behind the node that send and receive. The lab speaks to it in lines on its standard input
 * and reads its journal from its output. Killing it is a reboot of the node's dataplane: nothing of
 * it is kept.
 */
import type { Readable, Writable } from "node:stream";
import { Closers } from "../../adapters/system/closers.js";
import { systemClock } from "../../adapters/system/clock.js";
import { ControlServer } from "../../adapters/userspace/control-server.js";
import { Dataplane, type Delivery, type Drop } from "../../adapters/userspace/dataplane.js";
import { holdLeash } from "../fleet/leash.js";
import { JournalWriter } from "./journal-writer.js";
import { readPayload } from "./payload.js";
import { TrafficSource, type TrafficPlan } from "./source.js";

export interface NodeHostOptions {
  readonly socketPath: string;
  /** 0 takes a free one. */
  readonly udpPort: number;
  readonly input: Readable;
  readonly output: Writable;
  readonly signal: AbortSignal;
}

/** What the lab asks of it. */
export type HostCommand =
  | { readonly kind: "traffic"; readonly plan: TrafficPlan }
  | { readonly kind: "stop-traffic" }
  | { readonly kind: "read-counters" };

/** Ends when the signal aborts, or when the lab is gone. @throws PortError when it cannot listen */
export async function runNodeHost(options: NodeHostOptions): Promise<void> {
  const closers = new Closers();
  try {
    await runHost(options, closers);
  } finally {
    // An open pipe would keep the process alive.
    options.input.destroy();
    await closers.closeAll();
  }
}

async function runHost(options: NodeHostOptions, closers: Closers): Promise<void> {
  const journal = new JournalWriter(options.output);
  closers.add(() => journal.close());
  const dataplane = await Dataplane.open({
    local: { address: "127.0.0.1", udpPort: options.udpPort },
    nowMs: systemClock.nowMs,
    onDeliver: (delivery) => noteDelivery(journal, delivery),
    onDrop: (drop) => noteDrop(journal, drop),
  });
  closers.add(() => dataplane.close());
  const server = await ControlServer.listen(dataplane, options.socketPath);
  closers.add(() => server.close());
  let traffic: TrafficSource | null = null;
  const obey = (command: HostCommand): void => {
    if (command.kind === "traffic") traffic = new TrafficSource(command.plan, dataplane, journal);
    if (command.kind === "stop-traffic") {
      traffic?.stop();
      journal.event({ kind: "stopped", atMs: systemClock.nowMs() });
    }
    if (command.kind === "read-counters") {
      journal.event({ kind: "counters", counters: dataplane.counters() });
    }
  };
  journal.event({ kind: "ready", port: dataplane.local.udpPort });
  await untilReleased(options, (line) => obey(JSON.parse(line) as HostCommand));
  (traffic as TrafficSource | null)?.stop();
}

function untilReleased(options: NodeHostOptions, line: (line: string) => void): Promise<void> {
  return new Promise((resolve) => {
    options.signal.addEventListener("abort", () => resolve(), { once: true });
    options.output.on("error", () => resolve());
    holdLeash(options.input, { line, released: resolve });
  });
}

function noteDelivery(journal: JournalWriter, { payload }: Delivery): void {
  const header = readPayload(payload);
  if (header === null) return;
  const { instance, receiver, sequence } = header;
  journal.received({ instance, receiver, sequence });
}

function noteDrop(journal: JournalWriter, { counter, spi, sequence, remote, atMs }: Drop): void {
  if (spi === null || sequence === null) return;
  const remotePort = remote.udpPort ?? 0;
  journal.dropped({ counter, remotePort, spi, espSequence: sequence, atMs });
}
