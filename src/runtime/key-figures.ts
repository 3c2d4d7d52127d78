/**
 * What passed the SAs of each fleet key, by direction: few numbers of many SAs, for metrics and status. They are made anew at
 * each dump, which lists all SAs anyway; a step reads none of them. Only of a dataplane that counts the use of its SAs.
 */
import type { KeyId } from "../core/key-id.js";
import { sameSa, type HeldSa } from "../core/rotation/held.js";
import { sequenceShare, type Direction } from "../core/sa.js";
import { keyIdOf } from "../core/spi.js";

export interface KeyFigure {
  readonly keyId: KeyId;
  readonly direction: Direction;
  readonly sas: number;
  /** What dumps saw them grow by, since the first dump that showed the key: never less than before, whatever SA goes. */
  readonly packets: number;
  readonly octets: number;
  /** Of the last packet, on the monotonic clock; null where none is known of. */
  readonly usedAtMs: number | null;
  /** The highest sequence number of any of them. */
  readonly sequence: number;
  /** The largest share of its sequence numbers that any of them has used. */
  readonly sequenceShare: number;
}

/** The SAs of one peer, in this dump and before it. */
export interface PeerReading {
  readonly sas: readonly HeldSa[];
  readonly before: { readonly sas: readonly HeldSa[] };
}

type Figures = { -readonly [name in keyof KeyFigure]: KeyFigure[name] };

/** @param last the figures of the dump before, whose counts go on */
export function figuresOf(readings: Iterable<PeerReading>, last: readonly KeyFigure[]): readonly KeyFigure[] {
  const figures = new Map<string, Figures>();
  for (const { sas, before } of readings) {
    for (const sa of sas) {
      if (sa.use === null) continue;
      const name = `${keyIdOf(sa.spi)} ${sa.direction}`;
      const figure = figures.get(name) ?? startOf(sa, last);
      figures.set(name, figure);
      add(figure, sa, before.sas);
    }
  }
  return [...figures.values()].sort((one, other) => one.keyId - other.keyId || one.direction.localeCompare(other.direction));
}

function startOf({ spi, direction }: HeldSa, last: readonly KeyFigure[]): Figures {
  const keyId = keyIdOf(spi);
  const before = last.find((one) => one.keyId === keyId && one.direction === direction);
  const { packets, octets } = before ?? { packets: 0, octets: 0 };
  return { keyId, direction, sas: 0, packets, octets, usedAtMs: null, sequence: 0, sequenceShare: 0 };
}

/** An SA that is seen for the first time has grown by nothing: what passed it before may have been counted by another process. */
function add(figure: Figures, sa: HeldSa, before: readonly HeldSa[]): void {
  const { sequence, packets, use } = sa;
  if (use === null) return;
  figure.sas += 1;
  figure.sequence = Math.max(figure.sequence, sequence);
  figure.sequenceShare = Math.max(figure.sequenceShare, sequenceShare(sequence, use.esn));
  if (use.usedAtMs !== null) figure.usedAtMs = Math.max(figure.usedAtMs ?? use.usedAtMs, use.usedAtMs);
  const known = before.includes(sa) ? sa : before.find((one) => sameSa(one, sa));
  if (known === undefined || known === sa) return;
  figure.packets += Math.max(0, packets - known.packets);
  figure.octets += Math.max(0, use.octets - (known.use?.octets ?? 0));
}
