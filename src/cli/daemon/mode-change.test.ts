import assert from "node:assert/strict";
import { test } from "node:test";
import type { PolicyLevel } from "../../core/policy-level.js";
import type { AgentOptions } from "../../core/rotation/state.js";
import { CliError } from "../exit.js";
import { refuseModeChange, type Known } from "./mode-change.js";

type Cidrs = readonly string[] | undefined;
const networks = ["10.1.0.0/24"] as const;

interface Case {
  readonly name: string;
  readonly before: Cidrs;
  readonly now: Cidrs;
  readonly peers: readonly Cidrs[];
  /** Of the fleet record; none where nobody has asked for one. */
  readonly level?: PolicyLevel;
  readonly says: RegExp | null;
}

const cases: readonly Case[] = [
  { name: "transport as ever", before: undefined, now: undefined, peers: [undefined], says: null },
  { name: "another network in the same mode", before: networks, now: ["10.2.0.0/24"], peers: [networks], says: null },
  { name: "from transport to tunnel", before: undefined, now: networks, peers: [undefined, undefined], says: /^this node was in transport mode, as 2 of/ },
  { name: "from tunnel to transport", before: networks, now: undefined, peers: [networks], says: /with dataplane.ipsecMode transport it would reach none/ },
  { name: "from transport to tunnel at accept", before: undefined, now: networks, peers: [undefined], level: "accept", says: /transport mode/ },
  { name: "from transport to tunnel at off", before: undefined, now: networks, peers: [undefined], level: "off", says: null },
  { name: "alone", before: undefined, now: networks, peers: [], says: null },
  { name: "the peers have changed already", before: undefined, now: networks, peers: [networks], says: null },
];

const addressesOf = (cidrs: Cidrs): object => ({ ipv4: "192.0.2.1", ipv6: null, udpPort: null, ...(cidrs === undefined ? {} : { cidrs }) });

for (const { name, before, now, peers, level, says } of cases) {
  test(`mode change: ${name}`, () => {
    const fleet = level === undefined ? null : { record: { levels: { level } } };
    const known = {
      durable: { incarnation: { addresses: addressesOf(before) }, fleet },
      peers: peers.map((cidrs) => ({ entry: { addresses: addressesOf(cidrs) } })),
    } as unknown as Known;
    const options = { coordination: "barrier", addresses: addressesOf(now) } as unknown as AgentOptions;
    const refuse = (): void => refuseModeChange(known, options);
    if (says === null) return assert.doesNotThrow(refuse);
    assert.throws(refuse, (cause) => cause instanceof CliError && cause.fault.code === "IPSEC_MODE_CHANGED" && says.test(cause.message));
  });
}

test("mode change: a node that knows nothing yet may start in any mode", () => {
  refuseModeChange({ durable: null, peers: [] }, { addresses: addressesOf(networks) } as unknown as AgentOptions);
});
