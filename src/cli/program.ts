/**
 * The `spindle` program: finds the command, loads only its module, and turns every way of ending
 * into an exit code. It knows nothing of what the commands do.
 */
import { Command, CommanderError } from "commander";
import { commandTable, type CommandEntry } from "./command-table.js";
import { CliError, faultOf, printFault } from "./exit.js";
import type { Shell } from "./shell.js";
import { version } from "./version.js";

const examples = `
Examples:
  $ spindle lab --compare                      watch today's order lose packets, and ours lose none
  $ spindle keyfile generate keys              make a key file for a new fleet
  $ spindle agent --config agent.yaml          run the agent of this node
  $ spindle rotate --wait                      move the fleet to the next key
  $ spindle help COMMAND                       options and examples of one command

SPINDLE_CONFIG names the configuration file when --config is not given.
Exit codes: 0 success, 1 a check does not hold, 2 bad usage or input, 3 refused by the pre-flight
check, 4 stopped waiting while the work goes on.`;

/**
 * Runs one command line, and leaves the exit code in the shell.
 * @param argv the arguments after the program's name
 */
export async function run(
  argv: readonly string[],
  shell: Shell,
  table: readonly CommandEntry[] = commandTable,
): Promise<void> {
  try {
    const program = await makeProgram(argv, shell, table);
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync(argv, { from: "user" });
  } catch (cause) {
    // `--help` and `--version` end this way too.
    if (cause instanceof CommanderError && cause.exitCode === 0) return;
    const fault = faultOf(cause instanceof CommanderError ? usageError(cause) : cause);
    printFault(fault, shell.stderr, wantsJson(argv));
    shell.exitWith(fault.exitCode);
  }
}

async function makeProgram(
  argv: readonly string[],
  shell: Shell,
  table: readonly CommandEntry[],
): Promise<Command> {
  const program = new Command("spindle")
    .description("Hitless key rotation for encrypted node meshes")
    .version(version, "-V, --version")
    .addHelpText("after", examples)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => shell.stdout.write(text),
      writeErr: (text) => shell.stderr.write(text),
      // Usage errors are printed by `printFault`, like all others.
      outputError: () => {},
    });
  const wanted = commandName(argv);
  for (const entry of table) {
    const command =
      entry.name === wanted ? (await entry.load()).makeCommand(shell) : new Command(entry.name);
    inheritSettings(command.summary(entry.summary), program);
    program.addCommand(command, { hidden: entry.hidden === true });
  }
  return program;
}

/**
 * The first operand; `help NAME` means NAME. The program itself has no option that takes a value.
 */
function commandName(argv: readonly string[]): string | undefined {
  const operands = argv.filter((word) => !word.startsWith("-"));
  return operands[0] === "help" ? operands[1] : operands[0];
}

/** Settings reach a command only when it is made by its parent; ours are made apart. */
function inheritSettings(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inheritSettings(child, command);
}

function usageError(cause: CommanderError): CliError {
  const [first = "", ...rest] = cause.message.replace(/^error: /, "").split("\n");
  const suggestion = rest.join(" ").replace(/^\((.*)\)$/, "$1");
  return new CliError({
    exitCode: 2,
    code: "BAD_USAGE",
    message: first,
    hint: suggestion === "" ? "spindle help COMMAND shows the options" : suggestion,
  });
}

/** Read from the raw arguments, because a usage error comes before they are parsed. */
function wantsJson(argv: readonly string[]): boolean {
  const text = argv.join(" ");
  return /(^| )(--json|-o ?json|--output[ =]json)( |$)/.test(text);
}
