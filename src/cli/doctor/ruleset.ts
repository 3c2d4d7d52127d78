/**
 * Follows one kind of packet through the rules of nftables, as `nft -j list ruleset` prints them
 * (libnftables-json). A condition that is not about the packet's protocol or port is taken as unknown, so that
 * the answer is "certainly", "perhaps", "unclear" or "no", and never more than the rules say.
 */
import { z } from "zod";
import type { AddressFamily } from "../../core/node.js";

export interface Ruleset {
  readonly chains: readonly Chain[];
}

interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** Null for one that is only jumped to. */
  readonly hook: string | null;
  /** What happens to a packet that no rule decides about. */
  readonly drops: boolean;
  readonly rules: readonly Rule[];
}

type Rule = readonly Statement[];
type Statement = Readonly<Record<string, unknown>>;

export type Packet = { readonly family: AddressFamily } & (
  | { readonly protocol: "esp"; readonly port: null }
  | { readonly protocol: "udp"; readonly port: number }
);

export interface Blocked {
  /** `perhaps`: rules about such packets, or the policy, drop on unknown conditions; `unclear`: any rule might. */
  readonly how: "certainly" | "perhaps" | "unclear";
  /** The chain, in words. */
  readonly by: string;
}

const listing = z.object({
  nftables: z.array(
    z.object({
      chain: z
        .object({ family: z.string(), table: z.string(), name: z.string(), hook: z.string().optional(), policy: z.string().optional() })
        .optional(),
      rule: z
        .object({ family: z.string(), table: z.string(), chain: z.string(), expr: z.array(z.record(z.string(), z.unknown())) })
        .optional(),
    }),
  ),
});

/** @returns null for what is no listing of nftables */
export function parseRuleset(json: string): Ruleset | null {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return null;
  }
  const parsed = listing.safeParse(value);
  if (!parsed.success) return null;
  const rules = parsed.data.nftables.flatMap(({ rule }) => rule ?? []);
  const chains = parsed.data.nftables.flatMap(({ chain }) => chain ?? []);
  return {
    chains: chains.map(({ family, table, name, hook = null, policy }) => ({
      family,
      table,
      name,
      hook,
      drops: policy === "drop",
      rules: rules.filter((rule) => rule.family === family && rule.table === table && rule.chain === name).map(({ expr }) => expr),
    })),
  };
}

/** Chains that the packet comes to on a host that sends or receives it: `forward` is for others' packets. */
const hooks: ReadonlySet<string> = new Set(["ingress", "prerouting", "input", "output", "postrouting", "egress"]);
const tablesOf = { ipv4: ["ip", "inet", "netdev"], ipv6: ["ip6", "inet", "netdev"] } as const;

/** The kernel allows 16 jumps one inside the other (NFT_JUMP_STACK_SIZE). */
const jumpsMax = 16;

export function blockedBy({ chains }: Ruleset, packet: Packet): readonly Blocked[] {
  const families: readonly string[] = tablesOf[packet.family];
  const met = chains.filter(({ family, hook }) => families.includes(family) && hook !== null && hooks.has(hook));
  return met.flatMap((chain) => {
    const how = blocks(endsOf(chain, { chains, packet, jumps: 0 }), chain.drops);
    return how === null ? [] : [{ how, by: `chain ${chain.name} of table ${chain.family} ${chain.table}` }];
  });
}

function blocks(ends: ReadonlySet<End>, policyDrops: boolean): Blocked["how"] | null {
  const drops = ends.has("drop") || (ends.has("through") && policyDrops);
  const passes = ends.has("accept") || (!policyDrops && (ends.has("through") || ends.has("unclear-through")));
  if (drops && passes) return "perhaps";
  if (drops) return ends.has("unclear-accept") ? "unclear" : "certainly";
  return ends.has("unclear-drop") || (ends.has("unclear-through") && policyDrops) ? "unclear" : null;
}

/** How a chain can end for the packet; `through` is that no rule decides, `unclear-…` that one might decide so. */
type End = "accept" | "drop" | "through" | "unclear-accept" | "unclear-drop" | "unclear-through";

interface Way {
  readonly chains: readonly Chain[];
  readonly packet: Packet;
  readonly jumps: number;
}

/**
 * A drop on unknown conditions is unclear unless its rule is about such packets: most rulesets have one. So is what comes
 * after a chain that was left on such conditions, by `return`.
 */
function endsOf(chain: Chain, way: Way): ReadonlySet<End> {
  const ends = new Set<End>();
  let isInDoubt = false;
  for (const rule of chain.rules) {
    const { fit, isAboutPacket } = fitOf(rule, way.packet);
    const verdict = fit === "no" ? null : verdictOf(rule);
    if (verdict === null) continue;
    const isUnclear = isInDoubt || (fit === "perhaps" && !isAboutPacket);
    const comesBack = verdict.kind === "jump" && verdict.comesBack;
    const then = verdict.kind === "jump" ? endsOfTarget(chain, verdict.target, way) : endsOfVerdict(verdict.kind);
    for (const end of then) if (!comesBack || !isThrough(end)) ends.add(isUnclear ? inDoubt(end) : end);
    if (fit === "perhaps" || verdict.kind === "unclear") continue;
    if (!comesBack || ![...then].some(isThrough)) return ends;
    if (!then.has("through")) isInDoubt = true;
  }
  return ends.add(isInDoubt ? "unclear-through" : "through");
}

function isThrough(end: End): boolean {
  return end === "through" || end === "unclear-through";
}

/** What is accepted perhaps is no obstacle either way. */
function inDoubt(end: End): End {
  if (end === "drop") return "unclear-drop";
  return end === "through" ? "unclear-through" : end;
}

function endsOfVerdict(kind: Exclude<Verdict["kind"], "jump">): ReadonlySet<End> {
  return new Set<End>(kind === "unclear" ? ["unclear-accept", "unclear-drop"] : [kind]);
}

function endsOfTarget({ family, table }: Chain, target: string, way: Way): ReadonlySet<End> {
  const chain = way.chains.find((one) => one.family === family && one.table === table && one.name === target);
  if (chain === undefined || way.jumps === jumpsMax) return new Set<End>(["through"]);
  return endsOf(chain, { ...way, jumps: way.jumps + 1 });
}

type Verdict =
  | { readonly kind: "accept" | "drop" }
  /** `return`: the chain decides nothing. */
  | { readonly kind: "through" }
  /** Decided by a map, a program or another device. */
  | { readonly kind: "unclear" }
  | { readonly kind: "jump"; readonly target: string; readonly comesBack: boolean };

const target = z.object({ target: z.string() });
const unclearVerdicts: readonly string[] = ["vmap", "queue", "fwd"];

/** Null for a rule that only counts, marks or logs. */
function verdictOf(rule: Rule): Verdict | null {
  for (const statement of rule) {
    if ("accept" in statement) return { kind: "accept" };
    if ("drop" in statement || "reject" in statement) return { kind: "drop" };
    if ("return" in statement) return { kind: "through" };
    if (unclearVerdicts.some((word) => word in statement)) return { kind: "unclear" };
    for (const [word, comesBack] of [["jump", true], ["goto", false]] as const) {
      const parsed = target.safeParse(statement[word]);
      if (parsed.success) return { kind: "jump", target: parsed.data.target, comesBack };
    }
  }
  return null;
}

type Fit = "yes" | "no" | "perhaps";

function fitOf(rule: Rule, packet: Packet): { readonly fit: Fit; readonly isAboutPacket: boolean } {
  const fits = rule.flatMap((statement) => conditionOf(statement, packet) ?? []);
  const isAboutPacket = fits.includes("yes");
  if (fits.includes("no")) return { fit: "no", isAboutPacket };
  return { fit: fits.includes("perhaps") ? "perhaps" : "yes", isAboutPacket };
}

const vmap = z.object({ vmap: z.object({ key: z.unknown() }) });
const match = z.object({ match: z.object({ op: z.string(), left: z.unknown(), right: z.unknown() }) });
/** What is no condition. An `xt` statement is a match of iptables that nftables cannot show. */
const harmless: ReadonlySet<string> = new Set(["counter", "log", "mangle", "accept", "drop", "reject", "return", "jump", "goto", "notrack"]);

function conditionOf(statement: Statement, packet: Packet): Fit | null {
  const mapped = vmap.safeParse(statement).data?.vmap;
  if (mapped !== undefined) return valueOf(mapped.key, packet) === "other-protocol" ? "no" : "perhaps";
  const parsed = match.safeParse(statement);
  if (!parsed.success) return Object.keys(statement).every((word) => harmless.has(word)) ? null : "perhaps";
  const { op, left, right } = parsed.data.match;
  if (op === "==" && right === "lo") return "no"; // What goes between nodes comes and leaves by other devices.
  if (op !== "!=" && right === "invalid" && isConnectionState(left)) return "no";
  const wanted = valueOf(left, packet);
  if (wanted === "unknown") return "perhaps";
  if (wanted === "other-protocol") return "no";
  const fits = includes(right, wanted);
  if (fits === null) return "perhaps";
  return fits === (op !== "!=") ? "yes" : "no";
}

const connection = z.object({ ct: z.object({ key: z.literal("state") }) });

/** No packet of ESP is `invalid` to connection tracking (nf_conntrack_proto_generic.c), and of UDP only a damaged one. */
function isConnectionState(left: unknown): boolean {
  return connection.safeParse(left).success;
}

const meta = z.object({ meta: z.object({ key: z.string() }) });
const payload = z.object({ payload: z.object({ protocol: z.string(), field: z.string() }) });
/** IANA's numbers and their names in /etc/protocols. */
const spellings = { esp: ["esp", 50], udp: ["udp", 17] } as const;
const transports: ReadonlySet<string> = new Set(["tcp", "udp", "sctp", "dccp", "udplite", "icmp", "icmpv6", "esp", "ah", "comp"]);

const otherFamily = { ipv4: "ip6", ipv6: "ip" } as const;

/** What the packet has where a condition looks: one of these values. */
function valueOf(left: unknown, { family, protocol, port }: Packet): readonly (string | number)[] | "unknown" | "other-protocol" {
  const key = meta.safeParse(left).data?.meta.key;
  if (key === "l4proto") return spellings[protocol];
  if (key === "nfproto") return [family];
  const field = payload.safeParse(left).data?.payload;
  if (field === undefined) return "unknown";
  if (field.protocol === otherFamily[family]) return "other-protocol";
  const isProtocol = (field.protocol === "ip" && field.field === "protocol") || (field.protocol === "ip6" && field.field === "nexthdr");
  if (isProtocol) return spellings[protocol];
  if (transports.has(field.protocol) && field.protocol !== protocol) return "other-protocol";
  const isPort = field.field === "dport" && (field.protocol === "udp" || field.protocol === "th");
  return isPort && port !== null ? [port] : "unknown";
}

const set = z.object({ set: z.array(z.unknown()) });
const range = z.object({ range: z.tuple([z.number(), z.number()]) });

/** Null where a named set or map would have to be looked into. */
function includes(right: unknown, values: readonly (string | number)[]): boolean | null {
  if (typeof right === "number") return values.includes(right);
  if (typeof right === "string") return right.startsWith("@") ? null : values.includes(right);
  const members = set.safeParse(right).data?.set;
  if (members !== undefined) {
    const found = members.map((member) => includes(member, values));
    if (found.includes(true)) return true;
    return found.includes(null) ? null : false;
  }
  const ends = range.safeParse(right).data?.range;
  return ends === undefined ? null : values.some((value) => typeof value === "number" && value >= ends[0] && value <= ends[1]);
}
