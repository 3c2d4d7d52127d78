/** Checks of what sees packets before XFRM or after it: programs on devices, devices that forward by themselves, firewalls. */
import type { AddressFamily, NodeAddresses } from "../../core/node.js";
import type { AttachedProgram, Facts, PeerFacts } from "./facts.js";
import { fine, finding, type Check, type Finding } from "./finding.js";
import { blockedBy, type Blocked, type Packet } from "./ruleset.js";

export const deviceChecks: readonly Check[] = [attachedPrograms, tcxPrograms, firewall];

const families: readonly AddressFamily[] = ["ipv4", "ipv6"];

const redirects =
  "see that it redirects no packet between nodes (`bpftool net`): what is redirected before XFRM passes by it, in plain text. " +
  "Cilium: bpf.hostLegacyRouting: true";

function attachedPrograms({ attached: { listed } }: Facts): readonly Finding[] {
  const check = "bpf and offload";
  if (listed === null) return [finding(check, "unknown", "programs on devices cannot be listed", "run it as root; `bpftool net` lists them")];
  if (listed.length === 0) return fine(check, "no XDP program and no filter of traffic control on any device");
  return listed.map((program) => judge(check, program));
}

function judge(check: string, { device, kind, name, isInHardware }: AttachedProgram): Finding {
  const what = `${kind === "xdp" ? "XDP program" : "filter"} ${name} on ${device}`;
  if (!isInHardware) return finding(check, "warning", `${what} sees packets before XFRM`, redirects);
  const todo = `see that the device forwards no packet between nodes by itself, or switch that off: ethtool -K ${device} hw-tc-offload off`;
  return finding(check, "warning", `${what} is carried out by the device, which shows XFRM nothing of it`, todo);
}

function tcxPrograms({ attached: { tcx } }: Facts): readonly Finding[] {
  const check = "tcx";
  if (tcx === null) return [finding(check, "unknown", "the kernel does not say what TCX attached", "run it as root; `bpftool net` lists it")];
  if (tcx.length === 0) return fine(check, "no program attached by TCX");
  return tcx.map(({ device, count }) => finding(check, "warning", `${count} programs attached by TCX on ${device}`, redirects));
}

function firewall({ firewall: rules, node, peer }: Facts): readonly Finding[] {
  if (rules.kind === "unread") {
    const todo = "look at the rules yourself (nft list ruleset): IP protocol 50, or the UDP port, must pass in and out";
    return [finding("firewall", "unknown", `rules cannot be read: ${rules.why}`, todo)];
  }
  const packets = packetsOf(node?.addresses ?? null, peer);
  const blocked = packets.flatMap((packet) => blockedBy(rules.ruleset, packet).map((one) => ({ ...one, packet })));
  // Of a table for both families each is found twice.
  const isProven = peer?.probe.kind === "answered";
  const findings = new Map(
    blocked.filter(({ how }) => how !== "unclear" || !isProven).map((one) => [`${one.by} ${one.how}`, blockedFinding(one)]),
  );
  if (findings.size === 0 && blocked.length > 0) {
    return [...fine("firewall", "rules on other conditions drop no encrypted packet to the peer: one was answered"), ...legacy(rules.legacyTables)];
  }
  if (findings.size === 0) return [...fine("firewall", "no rule of nftables drops encrypted packets"), ...legacy(rules.legacyTables)];
  return [...findings.values(), ...legacy(rules.legacyTables)];
}

function blockedFinding({ how, by, packet: { protocol, port } }: Blocked & { readonly packet: Packet }): Finding {
  const words = protocol === "esp" ? "IP protocol 50 (ESP)" : `UDP ${port}`;
  const todo = `add a rule before it that accepts ${words} between the nodes`;
  if (how === "unclear") {
    const what = `rules of ${by} may drop ${words}, on other conditions that were not looked at`;
    return finding("firewall", "unknown", what, "doctor --peer ADDRESS --config FILE has the agent send a real packet; or look at them: nft list ruleset");
  }
  if (how === "certainly") return finding("firewall", "obstacle", `${by} drops ${words}`, todo);
  return finding("firewall", "warning", `${by} lets ${words} pass only on conditions that were not looked at`, todo);
}

function legacy(tables: readonly string[]): readonly Finding[] {
  if (tables.length === 0) return [];
  const what = `tables of iptables-legacy (${tables.join(", ")}) are not looked at`;
  return [finding("firewall", "unknown", what, "see that `iptables-legacy-save` and `ip6tables-legacy-save` drop no encrypted packet")];
}

/** Encrypted packets of the families in question: the peer's, the node's, or both. */
function packetsOf(node: NodeAddresses | null, peer: PeerFacts | null): readonly Packet[] {
  const udpPort = peer?.udpPort ?? node?.udpPort ?? null;
  return families
    .filter((family) => (peer === null ? node === null || node[family] !== null : peer.address.includes(":") === (family === "ipv6")))
    .map((family) => (udpPort === null ? { family, protocol: "esp", port: null } : { family, protocol: "udp", port: udpPort }));
}
