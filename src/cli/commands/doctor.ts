/** `spindle doctor`: says what this host can do, and what stands in the way. */
import { isIPv4 } from "node:net";
import { Command, InvalidArgumentError } from "commander";
import { canonicalIpv6 } from "../../adapters/ip-address.js";
import { findConfig, loadAgentConfig } from "../config/load.js";
import type { PathCheck } from "../../http/status.js";
import { diagnose } from "../doctor/checks.js";
import type { Finding, Level } from "../doctor/finding.js";
import { gather, type Subject } from "../doctor/gather.js";
import { CliError } from "../exit.js";
import { addOutputOptions, formatOf, formatTable, printResult, type Column, type OutputOptions } from "../output.js";
import { askForProbes } from "../ask/ask-probes.js";
import type { Shell } from "../shell.js";

interface Flags extends OutputOptions {
  readonly peer?: string;
  readonly config?: string;
}

const examples = `
It looks at this host, in the network namespace that it runs in, and changes nothing: an SA is made and
deleted again, and with --peer one UDP packet is sent. With --config the agent of this host, if it runs,
sends the peer an encrypted packet as well. What cannot be looked at is told as unknown. Run it as root.

Examples:
  $ spindle doctor                                      kernel, privileges, other IPsec
  $ spindle doctor --config agent.yaml --peer 10.0.0.7  and the way to a peer, with this agent's address`;

export function makeCommand(shell: Shell): Command {
  const command = new Command("doctor")
    .description("check this host, and the way to a peer")
    .option("--peer <address>", "IP address of another node", parseAddress)
    .option("--config <file>", "agent's configuration, for its addresses (default: $SPINDLE_CONFIG)")
    .addHelpText("after", examples);
  return addOutputOptions(command).action(async (flags: Flags) => {
    const findings = diagnose(await gather(await subjectOf(flags, shell)));
    const ok = findings.every(({ level }) => level !== "obstacle");
    await printResult(shell.stdout, formatOf(flags), { schemaVersion: 1, findings, ok }, () =>
      textOf(findings, shell),
    );
    if (!ok) shell.exitWith(1);
  });
}

function parseAddress(text: string): string {
  const address = isIPv4(text) ? text : canonicalIpv6(text);
  if (address === null) throw new InvalidArgumentError("It must be an IP address.");
  return address;
}

/** @throws CliError BAD_USAGE, CONFIG_… */
async function subjectOf({ peer: wanted, config: given }: Flags, shell: Shell): Promise<Subject> {
  const peer = wanted ?? null;
  const { env } = shell;
  if (given === undefined && (env["SPINDLE_CONFIG"] ?? "") === "") return { node: null, peer };
  const { file, config } = await loadAgentConfig(findConfig(given, env));
  const { dataplane, node } = config;
  if (dataplane.kind === "kernel") {
    const ask = (address: string): Promise<PathCheck> => askForProbes(config, [address], shell.interrupted());
    return { node: { addresses: node.addresses, reqid: dataplane.reqid, askAgent: ask }, peer };
  }
  const message = `${file}: dataplane.kind is ${dataplane.kind}, and the checks are for the kernel's`;
  throw new CliError({ exitCode: 2, code: "BAD_USAGE", message });
}

const colorOf = { ok: "green", unknown: "cyan", warning: "yellow", obstacle: "red" } as const satisfies Record<Level, string>;

const columns: readonly Column<Finding>[] = [
  { header: "CHECK", cell: ({ check }) => check },
  {
    header: "RESULT",
    cell: ({ level }, colors) => colors[colorOf[level]](level),
  },
  { header: "FOUND", cell: ({ what }) => what },
];

function textOf(findings: readonly Finding[], shell: Shell): string {
  const todos = findings.flatMap(({ check, todo }) => (todo === null ? [] : [`${check}: ${todo}`]));
  const table = formatTable(columns, findings, shell.stdout);
  return todos.length === 0 ? table : [table, "", "what to do:", ...todos.map((todo) => `  ${todo}`)].join("\n");
}
