/** `spindle node list|remove`: the nodes on the roster. */
import { Command } from "commander";
import { countedNodes } from "../../core/fleet/barrier.js";
import {
  parseNodeName,
  type NodeAddresses,
  type NodeName,
  type RosterEntry,
} from "../../core/node.js";
import { CliError } from "../exit.js";
import { addFleetOptions } from "../operator/flags.js";
import type { FleetWatch } from "../operator/fleet-watch.js";
import { withFleet, type FleetFlags } from "../operator/open-fleet.js";
import {
  addOutputOptions,
  formatOf,
  formatTable,
  printResult,
  type Column,
  type OutputOptions,
} from "../output.js";
import type { Shell } from "../shell.js";

export function makeCommand(shell: Shell): Command {
  return new Command("node")
    .description("the nodes of the fleet")
    .addCommand(makeList(shell))
    .addCommand(makeRemove(shell));
}

interface NodeView {
  readonly name: NodeName;
  readonly index: number;
  readonly incarnation: number;
  readonly incarnationId: string;
  readonly addresses: NodeAddresses;
  readonly revision: number;
  readonly lease: "alive" | "ended" | "unknown";
  /** It has reported since it was admitted in its present incarnation. */
  readonly reports: boolean;
}

const columns: readonly Column<NodeView>[] = [
  { header: "NAME", cell: ({ name }) => name },
  { header: "ADDRESSES", cell: ({ addresses }) => formatAddresses(addresses) },
  { header: "INDEX", cell: ({ index }) => String(index), align: "right" },
  { header: "INCARNATION", cell: ({ incarnation }) => String(incarnation), align: "right" },
  {
    header: "LEASE",
    cell: ({ lease }, colors) => (lease === "ended" ? colors.yellow(lease) : lease),
  },
  { header: "REPORTS", cell: ({ reports }, colors) => (reports ? "yes" : colors.yellow("no")) },
  { header: "REVISION", cell: ({ revision }) => String(revision), align: "right", wide: true },
  { header: "INCARNATION ID", cell: ({ incarnationId }) => incarnationId, wide: true },
];

function makeList(shell: Shell): Command {
  const command = new Command("list").description("show the nodes on the roster");
  return addOutputOptions(addFleetOptions(command)).action(
    async (flags: FleetFlags & OutputOptions) => {
      await withFleet(flags, shell, async (fleet) => {
        const nodes = viewNodes(fleet);
        await printResult(shell.stdout, formatOf(flags), { schemaVersion: 1, nodes }, (wide) =>
          nodes.length === 0
            ? "the roster is empty"
            : formatTable(columns, nodes, shell.stdout, wide),
        );
      });
    },
  );
}

function viewNodes(fleet: FleetWatch): readonly NodeView[] {
  const { roster, reports, leases } = fleet.snapshot();
  return countedNodes(roster, reports, []).map(({ entry, report }) => ({
    name: entry.name,
    index: entry.index,
    incarnation: entry.incarnationNumber,
    incarnationId: entry.incarnationId,
    addresses: entry.addresses,
    revision: entry.revision,
    lease: leases === null ? "unknown" : leases.has(entry.name) ? "alive" : "ended",
    reports: report !== undefined,
  }));
}

function formatAddresses({ ipv4, ipv6, udpPort }: NodeAddresses): string {
  const addresses = [ipv4, ipv6].filter((address) => address !== null).join(" ");
  return udpPort === null ? addresses : `${addresses} port ${udpPort}`;
}

interface RemoveFlags extends FleetFlags, OutputOptions {
  readonly yes?: true;
}

function makeRemove(shell: Shell): Command {
  const command = new Command("remove")
    .description(
      "take a node that will not come back off the roster; the others then remove its SAs",
    )
    .argument("<name>", "the node")
    .option("--yes", "even if it is alive");
  return addOutputOptions(addFleetOptions(command)).action(
    async (text: string, flags: RemoveFlags) => {
      const name = requireName(text);
      await withFleet(flags, shell, async (fleet) => {
        checkRemovable(fleet, name, flags.yes === true);
        const revision = await fleet.remove(name);
        const result = { schemaVersion: 1, removed: name, revision };
        await printResult(shell.stdout, formatOf(flags), result, () => `${name} is off the roster`);
      });
    },
  );
}

function requireName(text: string): NodeName {
  const name = parseNodeName(text);
  if (name.ok) return name.value;
  throw new CliError({ exitCode: 2, code: "BAD_USAGE", message: name.error });
}

/** @throws CliError NODE_UNKNOWN, NODE_ALIVE */
function checkRemovable(fleet: FleetWatch, name: NodeName, isConfirmed: boolean): void {
  const { roster, leases } = fleet.snapshot();
  const entry: RosterEntry | undefined = roster.entries.get(name);
  if (entry === undefined) {
    const hint = "spindle node list shows the names";
    throw new CliError({
      exitCode: 2,
      code: "NODE_UNKNOWN",
      message: `no node ${name} is on the roster`,
      hint,
    });
  }
  if (isConfirmed || leases?.has(name) === false) return;
  throw new CliError({
    exitCode: 2,
    code: "NODE_ALIVE",
    message: `node ${name} is alive: its agent renewed its lease just now`,
    details: ["removed, it loses its traffic until its agent, if it runs, has been admitted again"],
    hint: "stop its agent first, or add --yes",
  });
}
