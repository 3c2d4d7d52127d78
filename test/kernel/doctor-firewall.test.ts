/**
 * `spindle doctor` with rules of nftables, and with a program attached by TCX, on the host's own kernel in a network namespace of its
 * own: User-Mode Linux has neither.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Finding } from "../../src/cli/doctor/finding.js";

const main = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
const attach = fileURLToPath(new URL("../support/netlink/bpf.js", import.meta.url));

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What it makes is gone with the shell. */
function inNamespace(script: string, input = ""): Ran {
  return spawnSync("unshare", ["--net", "sh", "-ec", script], { input, encoding: "utf8", env: { ...process.env, MAIN: main, NODE: process.execPath } });
}

function doctorAfter(script: string, input = ""): readonly Finding[] {
  const { stdout, stderr } = inNamespace(`${script}; "$NODE" "$MAIN" doctor --json`, input);
  assert.match(stdout, /^\{/, stderr);
  return (JSON.parse(stdout) as { readonly findings: readonly Finding[] }).findings;
}

const found = (findings: readonly Finding[], wanted: string): readonly (readonly [string, string])[] =>
  findings.flatMap(({ check, level, what }) => (check === wanted ? [[level, what] as const] : []));

const refused = inNamespace("nft add table inet t");
const skip = refused.status === 0 ? false : `nft in a network namespace: ${refused.stderr || "no unshare"}`;

const cases: readonly (readonly [name: string, rules: string, expected: readonly (readonly [string, string])[]])[] = [
  ["a ruleset that has nothing against ESP", "chain i { type filter hook input priority 0; ct state invalid drop; }", [["ok", "no rule of nftables drops encrypted packets"]]],
  ["ESP is dropped by name", "chain i { type filter hook input priority 0; ip protocol esp drop; }", [["obstacle", "chain i of table inet t drops IP protocol 50 (ESP)"]]],
  [
    "a policy drops what no rule accepts",
    "chain i { type filter hook input priority 0; policy drop; ct state established accept; tcp dport 22 accept; }",
    [["warning", "chain i of table inet t lets IP protocol 50 (ESP) pass only on conditions that were not looked at"]],
  ],
  ["a policy drops, and ESP is accepted", "chain i { type filter hook input priority 0; policy drop; meta l4proto { esp, ah } accept; }", [["ok", "no rule of nftables drops encrypted packets"]]],
  [
    "any packet of a device is dropped",
    "chain i { type filter hook input priority 0; iifname eth0 drop; }",
    [["unknown", "rules of chain i of table inet t may drop IP protocol 50 (ESP), on other conditions that were not looked at"]],
  ],
  [
    "maps of verdicts",
    "chain i { type filter hook input priority 0; policy drop; ct state vmap { established : accept, invalid : drop }; ip protocol vmap { esp : accept }; }",
    [["unknown", "rules of chain i of table inet t may drop IP protocol 50 (ESP), on other conditions that were not looked at"]],
  ],
  [
    "a device's packets leave a chain that drops all",
    "chain more { iifname eth0 return; drop; }\nchain i { type filter hook input priority 0; jump more; }",
    [["warning", "chain i of table inet t lets IP protocol 50 (ESP) pass only on conditions that were not looked at"]],
  ],
  [
    "a chain that is jumped to rejects ESP on its way out",
    "chain more { meta l4proto esp reject; }\nchain o { type filter hook output priority 0; jump more; }",
    [["obstacle", "chain o of table inet t drops IP protocol 50 (ESP)"]],
  ],
];

for (const [name, rules, expected] of cases) {
  test(`doctor on the host's kernel: ${name}`, { skip }, () => {
    const input = `table inet t {\n${rules.replaceAll(/([;{]) /g, "$1\n").replaceAll(" }", "\n}")}\n}\n`;
    assert.deepEqual(found(doctorAfter("nft -f -", input), "firewall"), expected);
  });
}

test("doctor on the host's kernel: rules of iptables that are not nftables are told as unknown", { skip }, () => {
  const findings = found(doctorAfter("iptables-legacy -A INPUT -p esp -j DROP"), "firewall");
  assert.deepEqual(findings.map(([level]) => level), ["ok", "unknown"]);
});

test("doctor on the host's kernel: without nft the firewall is unknown", { skip }, () => {
  const findings = found(doctorAfter('PATH="$(dirname "$(command -v unshare)")/none"; NODE="$NODE"'), "firewall");
  assert.deepEqual(findings, [["unknown", "rules cannot be read: the program nft is not installed"]]);
});

test("doctor on the host's kernel: a program attached by TCX is found where the kernel has TCX", { skip }, (context) => {
  const script = `ip link set lo up; exec "$NODE" --input-type=module -e '
    import { spawnSync } from "node:child_process";
    const { attachProgram } = await import(${JSON.stringify(attach)});
    const detach = await attachProgram("tcx", 1);
    const { stdout } = spawnSync(process.execPath, [process.env.MAIN, "doctor", "--json"], { encoding: "utf8" });
    detach();
    console.log(stdout);
  '`;
  const { stdout, stderr } = inNamespace(script);
  if (/attaching failed with 22/.test(stderr)) return context.diagnostic("this kernel is older than 6.6, and has no TCX");
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
  assert.deepEqual(found(findings, "tcx"), [["warning", "1 programs attached by TCX on lo"]]);
});
