/** What waits for one watcher, as numbers of events. */
import { streams, type Stream } from "./registry.js";

export interface Channel {
  readonly queues: Readonly<Record<Stream, readonly number[]>>;
  /** The dataplane began a new life, and its agent has not heard of it. */
  readonly rebooted: boolean;
  /** The fleet record excluded the node, and it has not caught up since. */
  readonly outside: boolean;
}

export const emptyChannel: Channel = {
  queues: { roster: [], reports: [], fleet: [], request: [] },
  rebooted: false,
  outside: false,
};

export function withQueue(channel: Channel, stream: Stream, queue: readonly number[]): Channel {
  return { ...channel, queues: { ...channel.queues, [stream]: queue } };
}

export function waitingStreams(channel: Channel): readonly Stream[] {
  return streams.filter((stream) => channel.queues[stream].length > 0);
}

/** @param label the number of an event, or its number under a renaming */
export function channelText({ queues, rebooted, outside }: Channel, label: (event: number) => number): string {
  const texts = streams.map((stream) => queues[stream].map(label).join());
  return `${texts.join(";")}${rebooted ? "!" : ""}${outside ? "x" : ""}`;
}
