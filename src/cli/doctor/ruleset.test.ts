import assert from "node:assert/strict";
import { test } from "node:test";
import { blockedBy, parseRuleset, type Packet } from "./ruleset.js";

const esp: Packet = { family: "ipv4", protocol: "esp", port: null };
const udp: Packet = { family: "ipv4", protocol: "udp", port: 4_500 };

type Statement = Readonly<Record<string, unknown>>;

const drop: Statement = { drop: null };
const accept: Statement = { accept: null };
const match = (left: unknown, right: unknown, op = "=="): Statement => ({ match: { op, left, right } });
const protocol = (right: unknown, op?: string): Statement => match({ meta: { key: "l4proto" } }, right, op);
const port = (right: unknown, of = "udp"): Statement => match({ payload: { protocol: of, field: "dport" } }, right);
const interfaceIs = match({ meta: { key: "iifname" } }, "eth0");
const invalid = match({ ct: { key: "state" } }, "invalid", "in");
const elsewhere = match({ payload: { protocol: "ip", field: "saddr" } }, { prefix: { addr: "10.0.0.0", len: 8 } }, "!=");
const vmap = (key: unknown, ...pairs: readonly (readonly [unknown, Statement])[]): Statement => ({ vmap: { key, data: { set: pairs } } });
const states = vmap({ ct: { key: "state" } }, ["established", accept], ["invalid", drop]);
const protocols = vmap({ payload: { protocol: "ip", field: "protocol" } }, ["esp", accept]);
const tcpPorts = vmap({ payload: { protocol: "tcp", field: "dport" } }, [22, accept]);
const leave: Statement = { return: null };
const jump: Statement = { jump: { target: "more" } };
const goTo: Statement = { goto: { target: "more" } };

interface Rules {
  readonly input?: readonly (readonly Statement[])[];
  readonly more?: readonly (readonly Statement[])[];
  readonly policy?: string;
  readonly family?: string;
  readonly hook?: string;
}

function outcome({ input = [], more = [], policy = "accept", family = "inet", hook = "input" }: Rules, packet = esp): string {
  const at = { family, table: "filter" };
  const rules = { input, more };
  const json = JSON.stringify({
    nftables: [
      { metainfo: { json_schema_version: 1 } },
      { table: { family, name: "filter" } },
      { chain: { ...at, name: "input", type: "filter", hook, prio: 0, policy } },
      { chain: { ...at, name: "more" } },
      ...Object.entries(rules).flatMap(([chain, some]) => some.map((expr) => ({ rule: { ...at, chain, expr } }))),
    ],
  });
  const ruleset = parseRuleset(json);
  assert.ok(ruleset !== null);
  const [blocked] = blockedBy(ruleset, packet);
  if (blocked === undefined) return "passes";
  assert.match(blocked.by, /^chain input of table/);
  return blocked.how === "certainly" ? "drops" : blocked.how;
}

const cases: readonly (readonly [name: string, rules: Rules, esp: string, udp: string])[] = [
  ["no rule", {}, "passes", "passes"],
  ["a policy", { policy: "drop" }, "drops", "drops"],
  ["ESP by name", { input: [[protocol("esp"), { counter: {} }, drop]] }, "drops", "passes"],
  ["ESP by number", { input: [[match({ payload: { protocol: "ip", field: "protocol" } }, 50), { reject: null }]] }, "drops", "passes"],
  ["all but ESP", { input: [[protocol("esp", "!="), drop]] }, "passes", "drops"],
  ["a set of protocols", { input: [[protocol({ set: ["ah", "esp"] }), accept]], policy: "drop" }, "passes", "drops"],
  ["a named set", { input: [[protocol("@vpn"), accept]], policy: "drop" }, "perhaps", "perhaps"],
  ["the UDP port", { input: [[port(4_500), drop]] }, "passes", "drops"],
  ["ports around it", { input: [[port({ set: [53, { range: [4_000, 5_000] }] }), accept]], policy: "drop" }, "drops", "passes"],
  ["a TCP port of that number", { input: [[port(4_500, "tcp"), drop]] }, "passes", "passes"],
  ["the first verdict counts", { input: [[protocol("esp"), accept], [protocol("esp"), drop]] }, "passes", "passes"],
  ["a drop on an interface", { input: [[interfaceIs, protocol("esp"), drop]] }, "perhaps", "passes"],
  ["what is invalid, as everywhere", { input: [[invalid, drop]] }, "passes", "passes"],
  ["any packet is dropped on an interface", { input: [[interfaceIs, drop]] }, "unclear", "unclear"],
  ["any packet is dropped by its source", { input: [[elsewhere, { reject: null }]] }, "unclear", "unclear"],
  ["a source that is dropped after ESP was accepted", { input: [[protocol("esp"), accept], [elsewhere, drop]] }, "passes", "unclear"],
  ["a source that is dropped, as all else", { input: [[elsewhere, drop]], policy: "drop" }, "drops", "drops"],
  ["a source leads to a chain that drops", { input: [[elsewhere, jump]], more: [[drop]] }, "unclear", "unclear"],
  ["a source is dropped in a chain", { input: [[jump]], more: [[elsewhere, drop]] }, "unclear", "unclear"],
  ["maps of verdicts under a policy", { input: [[states], [protocols]], policy: "drop" }, "unclear", "unclear"],
  ["a map of verdicts", { input: [[states]] }, "unclear", "unclear"],
  ["a named map of verdicts", { input: [[{ vmap: { key: { meta: { key: "iifname" } }, data: "@zones" } }]] }, "unclear", "unclear"],
  ["a map of another protocol's ports", { input: [[tcpPorts]], policy: "drop" }, "drops", "drops"],
  ["a map in a chain", { input: [[jump]], more: [[states]], policy: "drop" }, "unclear", "unclear"],
  ["a queue to a program", { input: [[protocol("esp"), { queue: { num: 0 } }]], policy: "drop" }, "unclear", "drops"],
  ["an accept on unknown conditions", { input: [[interfaceIs, accept]], policy: "drop" }, "perhaps", "perhaps"],
  ["a match that nft cannot show", { input: [[protocol("esp"), { xt: null }, drop]] }, "perhaps", "passes"],
  ["a chain that is jumped to", { input: [[jump]], more: [[protocol("esp"), drop]] }, "drops", "passes"],
  ["a chain that returns", { input: [[jump], [drop]], more: [[protocol("esp"), { return: null }]] }, "drops", "drops"],
  ["a chain left on an interface before it drops", { input: [[jump]], more: [[interfaceIs, leave], [drop]] }, "perhaps", "perhaps"],
  ["ESP leaves on an interface before all is dropped", { input: [[interfaceIs, protocol("esp"), leave], [drop]] }, "perhaps", "drops"],
  ["a base chain left on an interface before it drops", { input: [[interfaceIs, leave], [drop]] }, "perhaps", "perhaps"],
  ["a base chain left on an interface before it accepts", { input: [[interfaceIs, leave], [accept]], policy: "drop" }, "unclear", "unclear"],
  ["a chain left on an interface before it accepts", { input: [[jump]], more: [[interfaceIs, leave], [accept]], policy: "drop" }, "unclear", "unclear"],
  ["a drop for those that left on an interface", { input: [[jump], [drop]], more: [[interfaceIs, leave], [accept]] }, "unclear", "unclear"],
  ["an accept for those that left on an interface", { input: [[jump], [accept]], more: [[interfaceIs, leave], [drop]] }, "perhaps", "perhaps"],
  ["a chain left on an interface, and then nothing", { input: [[jump]], more: [[interfaceIs, leave]] }, "passes", "passes"],
  ["ESP that leaves before all is dropped", { input: [[jump]], more: [[protocol("esp"), leave], [drop]] }, "passes", "drops"],
  ["another protocol leaves before all is dropped", { input: [[protocol("tcp"), leave], [drop]] }, "drops", "drops"],
  ["a goto on an interface, and no way back", { input: [[interfaceIs, goTo], [drop]] }, "perhaps", "perhaps"],
  ["a jump on an interface, and back to a drop", { input: [[interfaceIs, jump], [drop]] }, "drops", "drops"],
  ["a jump that decides nothing", { input: [[jump], [protocol("esp"), drop]] }, "drops", "passes"],
  ["a goto never comes back", { input: [[goTo], [drop]] }, "passes", "passes"],
  ["a goto ends with the policy", { input: [[goTo]], policy: "drop" }, "drops", "drops"],
  ["a circle", { input: [[jump]], more: [[jump]] }, "passes", "passes"],
  ["what is forwarded for others", { policy: "drop", hook: "forward" }, "passes", "passes"],
  ["a header of the other family", { input: [[match({ payload: { protocol: "ip6", field: "nexthdr" } }, "esp"), drop]] }, "passes", "passes"],
  ["what comes from this host", { input: [[match({ meta: { key: "iif" } }, "lo"), accept]], policy: "drop" }, "drops", "drops"],
  ["the other family", { policy: "drop", family: "ip6" }, "passes", "passes"],
];

for (const [name, rules, ofEsp, ofUdp] of cases) {
  test(`ruleset: ${name}`, () => {
    assert.deepEqual([outcome(rules, esp), outcome(rules, udp)], [ofEsp, ofUdp]);
  });
}

test("ruleset: what is no listing of nftables is not taken for one", () => {
  for (const text of ["", "{}", "[]", '{"nftables":1}', '{"nftables":[{"rule":{"family":"ip"}}]}']) {
    assert.equal(parseRuleset(text), null, text);
  }
});
