/** Random SAs and policies for the property tests of the codec. */
import fc from "fast-check";
import type {
  Family,
  Prefix,
  UdpPorts,
  XfrmPolicy,
  XfrmSa,
  XfrmSelector,
  XfrmTemplate,
} from "../../../src/adapters/netlink/codec/model.js";
import type { OurRoute } from "../../../src/adapters/netlink/route/route-codec.js";

/** Plain objects only, so that they compare equal to what the codec reads. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const word32 = fc.integer({ min: 0, max: 0xffff_ffff });
const port = fc.integer({ min: 1, max: 0xffff });
const spi = fc.integer({ min: 256, max: 0xffff_ffff });
const family = fc.constantFrom<Family>("ipv4", "ipv6");
const mode = fc.constantFrom("transport" as const, "tunnel" as const);
const ifId = fc.option(fc.integer({ min: 1, max: 0xffff_ffff }));
const ports: fc.Arbitrary<UdpPorts> = record({ source: port, destination: port });

/** In canonical form: a group of zeros is rare enough in random addresses to need help. */
export function address(of: Family): fc.Arbitrary<string> {
  if (of === "ipv4") return numbers(4, fc.nat(255)).map((parts) => parts.join("."));
  const group = fc.oneof(fc.constant(0), fc.nat(0xffff));
  return numbers(8, group).map((groups) =>
    canonical(groups.map((one) => one.toString(16)).join(":")),
  );
}

function numbers(count: number, each: fc.Arbitrary<number>): fc.Arbitrary<number[]> {
  return fc.array(each, { minLength: count, maxLength: count });
}

/** The URL parser writes an IPv6 address by RFC 5952: an oracle that is not ours. */
function canonical(text: string): string {
  return new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

/** Without ESN the window stands in one byte. */
const replay = fc.oneof(
  record({ esn: fc.constant(true), replayWindow: fc.integer({ min: 1, max: 4_096 }) }),
  record({ esn: fc.constant(false), replayWindow: fc.nat(255) }),
);

export const xfrmSa: fc.Arbitrary<XfrmSa> = fc.tuple(family, replay).chain(([of, { esn, replayWindow }]) =>
  record({
    family: fc.constant(of),
    source: address(of),
    destination: address(of),
    spi,
    mode,
    reqid: word32,
    ifId,
    encapsulation: fc.option(ports),
    replayWindow: fc.constant(replayWindow),
    esn: fc.constant(esn),
  }),
);

/** As a key file gives them: 128 or 256 bits and the 4-byte salt. */
export const saKey: fc.Arbitrary<Uint8Array> = fc.constantFrom(20, 36).chain((length) =>
  fc.uint8Array({ minLength: length, maxLength: length }),
);

function prefix(of: Family): fc.Arbitrary<Prefix> {
  return record({
    address: address(of),
    length: fc.nat(of === "ipv4" ? 32 : 128),
  });
}

export const xfrmSelector: fc.Arbitrary<XfrmSelector> = family.chain((of) =>
  record({
    family: fc.constant(of),
    source: prefix(of),
    destination: prefix(of),
    protocol: fc.nat(255),
    sourcePort: fc.oneof(fc.constant("any" as const), port),
    destinationPort: fc.oneof(fc.constant("any" as const), port),
  }),
);

const xfrmTemplate: fc.Arbitrary<XfrmTemplate> = family.chain((of) =>
  record({
    family: fc.constant(of),
    source: address(of),
    destination: address(of),
    spi: fc.option(spi),
    reqid: word32,
    mode,
    optional: fc.boolean(),
  }),
);

export const xfrmPolicy: fc.Arbitrary<XfrmPolicy> = record({
  direction: fc.constantFrom("in" as const, "out" as const, "forward" as const),
  selector: xfrmSelector,
  ifId,
  verdict: fc.constantFrom("allow" as const, "block" as const),
  priority: word32,
  templates: fc.array(xfrmTemplate, { maxLength: 6 }),
});

/** To a network, over one hop or several. */
export const ourRoute: fc.Arbitrary<OurRoute> = family.chain((of) =>
  record({
    destination: prefix(of).map((one) => ({ family: of, ...one })),
    preferredSource: fc.option(address(of)),
    hops: fc.array(record({ interfaceIndex: fc.nat(0x7fff_ffff), gateway: fc.option(address(of)) }), {
      minLength: 1,
      maxLength: 4,
    }),
  }),
);
