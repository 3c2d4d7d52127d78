/** `spindle simulate --list`: what there is to play. */
import { mutants } from "../../sim/mutants/named-mutants.js";
import { scenarios } from "../../sim/scenarios/catalogue.js";
import { formatOf, formatTable, printResult, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";

export async function listNames(output: OutputOptions, { stdout }: Shell): Promise<void> {
  const played = scenarios.map(({ name, source, summary }) => ({ name, source, summary }));
  const taken = [...mutants.values()].map(({ name, without }) => ({ name, without }));
  const value = { schemaVersion: 1, scenarios: played, mutants: taken };
  await printResult(stdout, formatOf(output), value, (wide) =>
    [
      formatTable(
        [
          { header: "SCENARIO", cell: ({ name }) => name },
          { header: "FROM", cell: ({ source }) => source },
          { header: "WHAT HAPPENS", cell: ({ summary }) => summary, wide: true },
        ],
        played,
        stdout,
        wide,
      ),
      "",
      formatTable([{ header: "MUTANT", cell: ({ name }) => name }, { header: "WITHOUT", cell: ({ without }) => without }], taken, stdout),
    ].join("\n"),
  );
}
