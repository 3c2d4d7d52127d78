/**
 * `spindle dataplane` (hidden): one node's userspace dataplane and the hosts behind it, as the lab
 * starts it. Its standard input ties it to the lab, its standard output is the lab's journal.
 */
import { Command } from "commander";
import { runNodeHost } from "../../lab/traffic/node-host.js";
import { CliError } from "../exit.js";
import type { Shell } from "../shell.js";

export function makeCommand(shell: Shell): Command {
  return new Command("dataplane")
    .description("run a userspace ESP dataplane for `spindle lab`")
    .requiredOption("--socket <path>", "control socket for the agent")
    .requiredOption("--port <number>", "UDP port on 127.0.0.1; 0 takes a free one", parsePort)
    .action(async (options: { socket: string; port: number }) => {
      await runNodeHost({
        socketPath: options.socket,
        udpPort: options.port,
        input: process.stdin,
        output: process.stdout,
        signal: shell.interrupted(),
      });
    });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  const message = `--port must be from 0 to 65535, not "${text}"`;
  throw new CliError({ exitCode: 2, code: "BAD_USAGE", message });
}
