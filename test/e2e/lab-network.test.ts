/** Network namespaces of the lab, on the host's own kernel: what is in one stays in it, and none is left. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { createServer, Socket } from "node:net";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { LabError } from "../../src/lab/lab-error.js";
import { openNamespaces } from "../../src/lab/network/namespace.js";
import { loadSockets, socketAddress } from "../../src/lab/network/sockets.js";
import { addressesOf, Switch } from "../../src/lab/network/switch.js";

const skip = process.getuid?.() === 0 ? false : "needs root, to make network namespaces";

/** Network namespaces in which a process of this machine is. */
function namespacesInUse(): ReadonlySet<string> {
  const found = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readlinkSync(`/proc/${pid}/ns/net`)];
      } catch {
        return [];
      }
    });
  return new Set(found);
}

/** Two nodes on one switch, which is gone afterwards. */
async function withTwoNodes(run: (network: Switch) => Promise<void>): Promise<void> {
  const network = await Switch.open();
  try {
    await run(network);
  } finally {
    network.close();
  }
}

for (const family of ["ipv4", "ipv6"] as const) {
  test(`lab network: datagrams and streams cross the switch, ${family}`, { skip }, async () => {
    await withTwoNodes(async (network) => {
      const sockets = await loadSockets();
      const [one, two] = [network.plug(0, "node-1"), network.plug(1, "node-2")];
      const [here, there] = [addressesOf(0)[family], addressesOf(1)[family]];
      const sender = one.within(() => sockets.openDatagram(family, here, 5_000));
      const receiver = two.within(() => sockets.openDatagram(family, there, 5_000));
      const to = socketAddress(family, there, 5_000);
      for (let i = 0; i < 10; i += 1) assert.equal(sender.send(Buffer.from(`${i}`), to), 0);
      const texts: string[] = [];
      for (let turns = 0; turns < 200 && texts.length < 10; turns += 1) {
        receiver.receiveAll((content) => texts.push(content.toString()));
        await pause(10);
      }
      assert.deepEqual(texts, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
      for (const socket of [sender, receiver]) socket.close();

      const listening = two.within(() => sockets.listenStream(family, there, 5_001));
      const server = createServer((stream) => stream.end("hello")).listen({ fd: listening });
      const fd = one.within(() => sockets.connectStream(family, here, there, 5_001));
      const stream = new Socket({ fd, readable: true });
      const [content] = (await once(stream, "data")) as [Buffer];
      assert.equal(content.toString(), "hello");
      stream.destroy();
      server.close();
    });
  });
}

test("lab network: a program that is started inside stays inside, and it alone", { skip }, async () => {
  await withTwoNodes(async (network) => {
    const namespace = network.plug(0, "node-1");
    const home = readlinkSync("/proc/self/ns/net");
    const show = ["-c", "readlink /proc/self/ns/net; ip -o address show dev eth0"];
    const inside = namespace.within(() => spawnSync("sh", show, { encoding: "utf8" })).stdout;
    assert.match(inside, /198\.18\.0\.1\/16/);
    assert.notEqual(inside.split("\n")[0], home);
    assert.equal(readlinkSync("/proc/self/ns/net"), home);
    assert.equal(spawnSync("sh", show, { encoding: "utf8" }).stdout.split("\n")[0], home);
    const named = spawnSync("nsenter", [`--net=${namespace.path}`, "readlink", "/proc/self/ns/net"], { encoding: "utf8" });
    assert.equal(named.stdout.trim(), inside.split("\n")[0]);
  });
});

test("lab network: a node that is plugged in again has a new namespace and its old address", { skip }, async () => {
  await withTwoNodes(async (network) => {
    const before = network.plug(0, "node-1");
    before.ip(["link add trace type veth peer name trace-end"]);
    const after = network.plug(0, "node-1");
    assert.throws(() => after.ip(["link show trace"]), LabError);
    after.ip([`address show to ${addressesOf(0).ipv4}`]);
  });
});

test("lab network: commands that ip refuses are told in its words", { skip }, async () => {
  const namespace = (await openNamespaces())("one");
  assert.throws(() => namespace.ip(["link set nowhere up"]), /ip failed in namespace one: Cannot find device "nowhere"/);
  namespace.close();
});

test("lab network: nothing is left of a process that is killed", { skip }, async () => {
  const module = new URL("../../src/lab/network/switch.js", import.meta.url).href;
  const program =
    `const { Switch } = await import(${JSON.stringify(module)});` +
    `const { spawn } = await import("node:child_process");` +
    `const { readlinkSync } = await import("node:fs");` +
    `const node = (await Switch.open()).plug(0, "node-1");` +
    `node.within(() => spawn("cat", { stdio: ["pipe", "ignore", "ignore"] }));` +
    `console.log(node.within(() => readlinkSync("/proc/thread-self/ns/net")));` +
    `setInterval(() => 0, 1_000);`;
  const owner = spawn(process.execPath, ["--input-type=module", "--eval", program]);
  const [made] = (await once(owner.stdout, "data")) as [Buffer];
  const isInUse = (): boolean => namespacesInUse().has(made.toString().trim());
  assert.ok(isInUse(), "a program is inside");
  owner.kill("SIGKILL");
  await once(owner, "exit");
  const endsMs = performance.now() + 10_000;
  while (isInUse() && performance.now() < endsMs) await pause(20);
  assert.ok(!isInUse());
  assert.equal(spawnSync("ip", ["netns", "list"], { encoding: "utf8" }).stdout.includes("node-1"), false);
});
