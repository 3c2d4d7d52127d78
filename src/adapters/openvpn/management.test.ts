/** The management client against a socket that answers as OpenVPN does, and as it does when it is ending. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { Management, type ManagementListener } from "./management.js";
import type { ManagementEvent } from "./management-lines.js";

let close: (() => void) | null = null;
afterEach(() => close?.());

const quiet: ManagementListener = { event: () => undefined, closed: () => undefined };

/** @param answer to each command, null to close the connection */
async function serve(answer: (command: string) => string | null): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "spindle-management-"));
  const path = join(directory, "m");
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.write(">INFO:OpenVPN Management Interface\r\n");
    socket.on("data", (chunk) => {
      for (const command of chunk.toString().trim().split("\n")) {
        const text = answer(command);
        if (text === null) socket.destroy();
        else socket.write(text);
      }
    });
  });
  await new Promise<void>((listening) => server.listen(path, listening));
  close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(directory, { recursive: true });
    close = null;
  };
  return path;
}

test("management: answers belong to their commands, whatever events come between", async () => {
  const events: ManagementEvent[] = [];
  const path = await serve((command) =>
    command === "state all"
      ? ">LOG:1,I,between\r\n1,WAIT,,,\r\n>HOLD:Waiting\r\n2,CONNECTED,SUCCESS,10.0.0.1,192.0.2.1\r\nEND\r\n"
      : "SUCCESS: done\r\n",
  );
  const management = await Management.connect(path, { ...quiet, event: (event) => events.push(event) });
  const [, isUp] = await Promise.all([management.follow(), management.isUp(), management.release()]);
  assert.equal(isUp, true);
  assert.deepEqual(events.map(({ kind }) => kind), ["other", "log", "hold"]);
  management.close();
});

test("management: a process without a state yet has none, and a refused command fails", async () => {
  const path = await serve((command) => (command === "state all" ? "END\r\n" : "ERROR: no\r\n"));
  const management = await Management.connect(path, quiet);
  assert.equal(await management.isUp(), null);
  await assert.rejects(management.release(), { code: "OPENVPN_UNREACHABLE", retryable: true });
  management.close();
});

test("management: when the process ends, what waits fails and the end is told once", async () => {
  const path = await serve(() => null);
  let ends = 0;
  const management = await Management.connect(path, { ...quiet, closed: () => (ends += 1) });
  await assert.rejects(management.isUp(), { code: "OPENVPN_UNREACHABLE" });
  await assert.rejects(management.isUp(), { code: "OPENVPN_UNREACHABLE" });
  assert.equal(ends, 1);
});

test("management: a process that is killed with a command unread ends the connection, not the site (regression)", async () => {
  const directory = mkdtempSync(join(tmpdir(), "spindle-management-"));
  const path = join(directory, "m");
  // A process of its own, as this one must be killed; it reads nothing.
  const script = `require("node:net").createServer({ pauseOnConnect: true }, () => console.log("in")).listen(${JSON.stringify(path)}, () => console.log("up"))`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const said = (word: string): Promise<void> => new Promise((done) => {
    child.stdout.on("data", (chunk: Buffer) => chunk.toString().includes(word) && done());
  });
  try {
    await said("up");
    const accepted = said("in");
    const ended = new Promise<void>((done) => void Management.connect(path, { ...quiet, closed: done }).then(async (management) => {
      await accepted;
      const asked = management.isUp();
      child.kill("SIGKILL");
      await assert.rejects(asked, { code: "OPENVPN_UNREACHABLE" });
    }));
    await ended;
  } finally {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true });
  }
});

test("management: nobody listens", async () => {
  await assert.rejects(Management.connect("/nonexistent/m", quiet), { code: "OPENVPN_UNREACHABLE", retryable: true });
});
