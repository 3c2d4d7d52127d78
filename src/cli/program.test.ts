import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { captureTerminal } from "../../test/support/terminal.js";
import { PortError } from "../adapters/port-error.js";
import type { CommandEntry } from "./command-table.js";
import { CliError, type ExitCode } from "./exit.js";
import { addOutputOptions } from "./output.js";
import { run } from "./program.js";
import type { Shell } from "./shell.js";
import { version } from "./version.js";

interface Outcome {
  readonly exitCode: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
  /** Commands whose module was loaded. */
  readonly loaded: readonly string[];
}

/**
 * `check [--strict]` exits 1 with --strict; `fail KIND` throws; `group inner` is a command in a
 * command.
 */
function makeTable(loaded: string[]): readonly CommandEntry[] {
  const entry = (
    name: string,
    build: (command: Command, shell: Shell) => Command,
  ): CommandEntry => ({
    name,
    summary: `summary of ${name}`,
    load: () => {
      loaded.push(name);
      return Promise.resolve({ makeCommand: (shell) => build(new Command(name), shell) });
    },
  });
  return [
    entry("check", (command, shell) =>
      command.option("--strict").action((options: { readonly strict?: true }) => {
        if (options.strict === true) shell.exitWith(1);
      }),
    ),
    entry("fail", (command) =>
      addOutputOptions(command)
        .argument("<kind>")
        .action((kind: string) => Promise.reject(failures[kind] ?? new Error("our bug"))),
    ),
    entry("group", (command) => {
      command.command("inner").requiredOption("--file <file>");
      return command;
    }),
  ];
}

const failures: Readonly<Record<string, Error>> = {
  refused: new CliError({
    exitCode: 3,
    code: "PREFLIGHT_REFUSED",
    message: "does not fit",
    hint: "raise the deadline",
    details: ["first", "second"],
  }),
  outside: new PortError("REGISTRY_UNREACHABLE", "connection refused", true),
};

async function runTest(...argv: string[]): Promise<Outcome> {
  const [stdout, stderr] = [captureTerminal(), captureTerminal()];
  const loaded: string[] = [];
  let exitCode: ExitCode = 0;
  const shell: Shell = {
    stdout,
    stderr,
    env: {},
    interrupted: () => new AbortController().signal,
    exitWith: (code) => {
      exitCode = code;
    },
  };
  await run(argv, shell, makeTable(loaded));
  return { exitCode, stdout: stdout.text(), stderr: stderr.text(), loaded };
}

test("program: help lists every command and loads none", async () => {
  for (const argv of [[], ["--help"], ["help"]]) {
    const { exitCode, stdout, stderr, loaded } = await runTest(...argv);
    assert.equal(exitCode, 0);
    assert.equal(stderr, "");
    assert.match(stdout, /check .*summary of check/);
    assert.match(stdout, /Examples:/);
    assert.deepEqual(loaded, []);
  }
});

test("program: only the module of the command is loaded", async () => {
  assert.deepEqual((await runTest("check")).loaded, ["check"]);
  assert.deepEqual((await runTest("help", "check")).loaded, ["check"]);
  assert.match((await runTest("check", "--help")).stdout, /--strict/);
});

test("program: the version is the package's", async () => {
  assert.equal((await runTest("--version")).stdout, `${version}\n`);
});

test("program: a command sets its exit code without a fault", async () => {
  assert.deepEqual(await runTest("check"), {
    exitCode: 0,
    stdout: "",
    stderr: "",
    loaded: ["check"],
  });
  assert.deepEqual(await runTest("check", "--strict"), {
    exitCode: 1,
    stdout: "",
    stderr: "",
    loaded: ["check"],
  });
});

const badUsages: readonly (readonly [readonly string[], RegExp])[] = [
  [["chek"], /^error BAD_USAGE: unknown command 'chek'\nhint: Did you mean check\?\n$/],
  [
    ["check", "--strickt"],
    /^error BAD_USAGE: unknown option '--strickt'\nhint: Did you mean --strict\?\n$/,
  ],
  [["check", "extra"], /^error BAD_USAGE: too many arguments for 'check'/],
  [["fail"], /^error BAD_USAGE: missing required argument 'kind'\nhint: spindle help COMMAND/],
  [
    ["fail", "x", "-o", "xml"],
    /^error BAD_USAGE: option '-o, --output <format>' argument 'xml' is invalid\. Allowed choices are table, wide, json, yaml\./,
  ],
  [["group", "inner"], /^error BAD_USAGE: required option '--file <file>' not specified/],
];

for (const [argv, expected] of badUsages) {
  test(`program: bad usage exits 2: spindle ${argv.join(" ")}`, async () => {
    const { exitCode, stdout, stderr } = await runTest(...argv);
    assert.equal(exitCode, 2);
    assert.equal(stdout, "");
    assert.match(stderr, expected);
  });
}

test("program: a fault prints code, message, details and hint, and sets its exit code", async () => {
  const { exitCode, stderr } = await runTest("fail", "refused");
  assert.equal(exitCode, 3);
  assert.equal(
    stderr,
    "error PREFLIGHT_REFUSED: does not fit\n  first\n  second\nhint: raise the deadline\n",
  );
});

test("program: with JSON asked for, a fault is one JSON object on stderr", async () => {
  for (const flags of [
    ["--json"],
    ["-o", "json"],
    ["-ojson"],
    ["--output=json"],
    ["--output", "json"],
  ]) {
    const { exitCode, stdout, stderr } = await runTest("fail", "refused", ...flags);
    assert.equal(exitCode, 3);
    assert.equal(stdout, "");
    assert.deepEqual(JSON.parse(stderr), {
      schemaVersion: 1,
      error: {
        code: "PREFLIGHT_REFUSED",
        message: "does not fit",
        hint: "raise the deadline",
        details: ["first", "second"],
      },
    });
  }
});

test("program: a usage error is JSON too", async () => {
  const { stderr } = await runTest("fail", "--json");
  assert.equal((JSON.parse(stderr) as { error: { code: string } }).error.code, "BAD_USAGE");
});

test("program: a fault of the outside world keeps its code and exits 1", async () => {
  const { exitCode, stderr } = await runTest("fail", "outside");
  assert.equal(exitCode, 1);
  assert.equal(
    stderr,
    "error REGISTRY_UNREACHABLE: connection refused\nhint: this may pass by itself: try again\n",
  );
});

test("program: a bug shows where it happened", async () => {
  const { exitCode, stderr } = await runTest("fail", "bug");
  assert.equal(exitCode, 1);
  assert.match(stderr, /^error INTERNAL_ERROR: our bug\n {2}at .*program\.test/);
});

const main = fileURLToPath(new URL("./main.js", import.meta.url));

test("spindle: the program itself runs, and a bad command exits 2", () => {
  assert.equal(
    execFileSync(process.execPath, [main, "--version"], { encoding: "utf8" }),
    `${version}\n`,
  );
  assert.throws(
    () => execFileSync(process.execPath, [main, "no-such-command"], { stdio: "pipe" }),
    (cause: { readonly status: number }) => cause.status === 2,
  );
});

/** Says "ready", then ends when it is interrupted; at the second signal it is ended. */
function spawnWaiting(afterInterrupt: string): ReturnType<typeof spawn> {
  const url = new URL("./shell.js", import.meta.url).href;
  const program = `
    const { makeProcessShell } = await import(${JSON.stringify(url)});
    const signal = makeProcessShell().interrupted();
    const timer = setInterval(() => {}, 1000);
    signal.addEventListener("abort", () => { console.log("interrupted"); ${afterInterrupt} });
    console.log("ready");`;
  return spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  test(`shell: ${signal} lets the command end itself`, async () => {
    const child = spawnWaiting("clearInterval(timer);");
    await once(child.stdout!, "data");
    child.kill(signal);
    assert.deepEqual(await once(child, "exit"), [0, null]);
  });
}

test("shell: the second signal ends the process at once", async () => {
  const child = spawnWaiting("");
  await once(child.stdout!, "data");
  child.kill("SIGINT");
  await once(child.stdout!, "data");
  child.kill("SIGINT");
  assert.deepEqual(await once(child, "exit"), [130, null]);
});
