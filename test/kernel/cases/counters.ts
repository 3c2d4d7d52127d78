/** What the kernel counts, as an agent shows it: its drops by their own names, what passed each key's SAs, and how far their numbers are used. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { systemClock } from "../../../src/adapters/system/clock.js";
import { loadAgentConfig } from "../../../src/cli/config/load.js";
import { agentStatus } from "../../../src/cli/daemon/agent-status.js";
import { listSas } from "../../../src/cli/daemon/sa-listing.js";
import { makeAgentMetrics } from "../../../src/http/metrics/agent-metrics.js";
import { startStatusServer } from "../../../src/http/server.js";
import type { SaListing } from "../../../src/http/status.js";
import { writeAgentFile } from "../../support/netlink/agent-file.js";
import { runCommand } from "../../support/netlink/command.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import type { Direction } from "../../../src/core/sa.js";
import type { KeyFigure } from "../../../src/runtime/key-figures.js";
import { openDatagramSocket } from "../../support/netlink/datagrams.js";
import { runsOnly, withKernelFleet, type FleetNode } from "../../support/netlink/kernel-fleet.js";
import { ip, ipBatch } from "../../support/netlink/namespace.js";

const warning = "sequence numbers run out, rotate now";

function figureOf({ view }: FleetNode, keyId: number, direction: Direction): KeyFigure | undefined {
  return view().world.keyFigures.find((one) => one.keyId === keyId && one.direction === direction);
}

const warningsOf = ({ said }: FleetNode): number => said.filter((message) => message === warning).length;

async function trafficIsCounted(): Promise<void> {
  await withKernelFleet({ resyncMs: 200 }, async ({ left, right, until, carries }) => {
    const before = [figureOf(left, 1, "out"), figureOf(right, 1, "in")];
    const startMs = performance.now();
    for (let round = 0; round < 3; round += 1) await carries();
    await until("figures move", () => (figureOf(left, 1, "out")?.packets ?? 0) >= 3 + (before[0]?.packets ?? 0));
    await until("and at the peer", () => (figureOf(right, 1, "in")?.packets ?? 0) >= 3 + (before[1]?.packets ?? 0));
    for (const figure of [figureOf(left, 1, "out"), figureOf(right, 1, "in")]) {
      assert.ok(figure !== undefined);
      assert.equal(figure.sas, 2);
      assert.ok(figure.sequence >= 3 && figure.octets > 10 * figure.packets);
      assert.ok(figure.sequenceShare > 0 && figure.sequenceShare < 2 ** -40);
      const usedAtMs = figure.usedAtMs ?? 0;
      assert.ok(usedAtMs > left.view().world.kernel.dumpedAtMs - (performance.now() - startMs) - 2_000, `${usedAtMs}`);
    }
    const [sent, came] = (["out", "in"] as const).map((direction) => figureOf(left, 1, direction)?.packets ?? 0);
    assert.ok(sent! > came!, "datagrams go one way");
  });
}

async function everyCounterIsRead(): Promise<void> {
  await withKernelFleet({ resyncMs: 200 }, async ({ left, right, until }) => {
    const counted = (): Record<string, number> => {
      const text = right.namespace.within(() => readFileSync("/proc/thread-self/net/xfrm_stat", "ascii"));
      const lines = text.trim().split("\n").map((line) => line.split(/\s+/));
      return Object.fromEntries(lines.map(([name = "", count]) => [name, Number(count)]));
    };
    // A state that right does not have: what comes with it is dropped there.
    const key = `0x${"07".repeat(20)}`;
    const ends = `src ${left.address} dst ${right.address}`;
    ipBatch(
      [
        `xfrm state add ${ends} proto esp spi 0x900 reqid 9 mode transport aead rfc4106(gcm(aes)) ${key} 128`,
        `xfrm policy add ${ends} proto udp dport 7000 dir out priority 1 tmpl proto esp spi 0x900 reqid 9 mode transport`,
      ],
      left.namespace,
    );
    const socket = left.namespace.within(() => openDatagramSocket("ipv4", left.address, 7_000));
    await until("a packet is dropped", () => {
      socket.send("x", right.address, 7_000);
      return (counted()["XfrmInNoStates"] ?? 0) > 0;
    });
    socket.close();
    const all = counted();
    await until("all that the kernel counts is read", () => JSON.stringify(right.view().world.counters) === JSON.stringify(all));
    assert.ok(Object.keys(all).length >= 28);
  });
}

/** Puts an SA with the same SPI and key in the place of left's, with other sequence numbers. */
function replaceOutbound(left: FleetNode, right: FleetNode, replay: string): void {
  const listed = ip("-n", left.namespace.name, "xfrm", "state", "list", "src", left.address, "dst", right.address);
  const [, spi] = /spi (0x[0-9a-f]+)/.exec(listed) ?? [];
  const [, reqid] = /reqid (\S+)/.exec(listed) ?? [];
  const [, key] = /aead (rfc4106\(gcm\(aes\)\) 0x[0-9a-f]+ 128)/.exec(listed) ?? [];
  assert.ok(spi !== undefined && reqid !== undefined && key !== undefined, listed);
  const name = `src ${left.address} dst ${right.address} proto esp spi ${spi}`;
  ipBatch([`xfrm state delete ${name}`, `xfrm state add ${name} reqid ${reqid} mode transport ${replay} aead ${key}`], left.namespace);
}

async function spentNumbersAreWarnedOf(): Promise<void> {
  await withKernelFleet({ resyncMs: 200 }, async ({ left, right, until }) => {
    const dumps = async (count: number): Promise<void> => {
      const since = left.view().world.kernel.dumpSerial;
      await until("it is read again", () => left.view().world.kernel.dumpSerial >= since + count);
    };
    replaceOutbound(left, right, "flag esn replay-window 1024 replay-oseq-hi 0x1 replay-oseq 0x5");
    await until("64 bits are seen", () => figureOf(left, 1, "out")?.sequence === 2 ** 32 + 5);
    assert.equal(warningsOf(left), 0, "with ESN there is room");
    replaceOutbound(left, right, `replay-window 32 replay-oseq ${0.75 * 2 ** 32 - 1}`);
    await until("32 bits are seen", () => figureOf(left, 1, "out")?.sequence === 0.75 * 2 ** 32 - 1);
    assert.equal(warningsOf(left), 0, "one below the threshold");
    replaceOutbound(left, right, `replay-window 32 replay-oseq ${0.75 * 2 ** 32}`);
    await until("it is warned of", () => warningsOf(left) > 0);
    assert.equal(figureOf(left, 1, "out")?.sequenceShare, 0.75);
    await dumps(3);
    assert.deepEqual([left, right].map(warningsOf), [1, 0], "once, and by its sender");
    for (const node of [left, right]) node.offer(1, 2);
    await until("both run key 2", () => runsOnly(left, 2) && runsOnly(right, 2));
    await dumps(1);
    assert.equal(figureOf(left, 1, "out"), undefined);
    assert.ok((figureOf(left, 2, "out")?.sequenceShare ?? 1) < 2 ** -40, "it has numbers again");
  });
}

/** Left's agent, asked by the command of its host, and scraped. */
async function operatorIsTold(): Promise<void> {
  await withKernelFleet({ resyncMs: 200 }, async ({ left, right, until, carries }) => {
    const socket = `/run/counters-${process.pid}.sock`;
    const file = writeAgentFile(left, socket);
    const { config } = await loadAgentConfig(file.path);
    const metrics = makeAgentMetrics(() => agentStatus(left.view(), config, systemClock.nowMs()));
    const answer = (): never => assert.fail("only SAs are asked for");
    const started = await startStatusServer(
      { kind: "unix", path: socket },
      { status: answer, healthy: answer, ready: answer, metrics, listSas: (peers) => listSas(left.view(), left.node.end.name, peers, systemClock.nowMs()) },
    );
    assert.ok(started.ok);
    try {
      await carries();
      await until("the figures are read", () => (figureOf(left, 1, "out")?.packets ?? 0) >= 2);
      const { exitCode, stdout } = await runCommand(["status", "--peer", right.address, "--json", "--config", file.path]);
      const { sas } = JSON.parse(stdout) as SaListing;
      assert.deepEqual([exitCode, sas.map(({ direction }) => direction).sort()], [0, ["in", "in", "out", "out"]]);
      for (const sa of sas.filter(({ direction }) => direction === "out")) {
        assert.ok(sa.packets > 0 && sa.sequence === sa.packets && (sa.bytes ?? 0) > 0 && sa.idleMs !== null && sa.idleMs < 60_000);
        assert.deepEqual([sa.peer, sa.keyId, sa.esn], [right.node.end.name, 1, true]);
      }
      const table = await runCommand(["status", "--peer", right.node.end.name, "--config", file.path]);
      assert.match(table.stdout, /ago +\d+ +0 % of 2\^64/);
      const text = await metrics.render();
      assert.match(text, /^spindle_key_packets_total\{key_id="1",direction="out"\} [1-9]/m);
      assert.match(text, /^spindle_key_last_used_timestamp_seconds\{key_id="1",direction="out"\} \d{10}$/m);
      assert.match(text, /^spindle_xfrm_stat_total\{reason="XfrmInNoStates"\} 0$/m);
      assert.ok(!text.includes(right.node.end.name), "no peer is a label");
    } finally {
      await started.value.close();
      file.remove();
    }
  });
}

export const counterCases: readonly KernelCase[] = [
  { name: "what passes the SAs of a key is counted, by direction", run: trafficIsCounted },
  { name: "all that the kernel counts of drops is read, by its own names", run: everyCounterIsRead },
  { name: "an operator is told what passed an SA, and Prometheus what passed a key's", run: operatorIsTold },
  { name: "an outbound SA that runs out of sequence numbers is warned of, and a rotation helps", run: spentNumbersAreWarnedOf },
];
