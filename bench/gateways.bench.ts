/**
 * Ten rotations of a link of two gateway pairs over real OpenVPN, under pings each 10 ms and a TCP stream, in network namespaces of this
 * machine. Needs root, /dev/net/tun and openvpn. The longest gap is of the whole machine: other programs add to it.
 */
import { GatewayLab } from "../src/lab/gateways/gateway-lab.js";
import { gatewaysMissing } from "../test/support/gateways.js";
import { quietHost } from "../test/support/lab.js";

const rotations = 10;
const target = { lost: 0, gapMs: 100, errors: 0, durationMs: 30_000 };

async function run(): Promise<void> {
  const lab = await GatewayLab.create({ gateways: 2, rotations, behaviour: "spindle", registry: "embedded", keep: false }, quietHost);
  try {
    await lab.start();
    for (let number = 1; number <= rotations; number += 1) await lab.rotate();
    const { traffic, rotations: results, openvpn } = await lab.finish();
    const durations = results.map(({ durationMs }) => durationMs).sort((one, other) => one - other);
    const gaps = results.map(({ traffic: during }) => during.longestGapMs).sort((one, other) => one - other);
    const errors = results.reduce((sum, { errorCount }) => sum + errorCount, 0);
    console.log(`\n${rotations} rotations of two gateway pairs, OpenVPN ${openvpn}`);
    print("lost pings", traffic.lost, target.lost, `of ${traffic.sent}`);
    print("longest gap of any rotation", gaps.at(-1)!, target.gapMs, `ms (median ${gaps[gaps.length >> 1]} ms)`);
    print("errors logged", errors, target.errors, "");
    print("longest rotation", durations.at(-1)!, target.durationMs, `ms (median ${durations[durations.length >> 1]} ms)`);
    print("stream failures", traffic.streamFailures.length, 0, `(${Math.round(traffic.streamBytes / 1024)} KiB arrived)`);
  } finally {
    await lab.abandon();
  }
}

function print(what: string, value: number, most: number, unit: string): void {
  const verdict = value <= most ? "met" : "MISSED";
  console.log(`  ${what.padEnd(28)} ${String(value).padStart(7)} ${unit}  target ${most}  ${verdict}`);
}

const missing = gatewaysMissing();
if (missing === false) await run();
else console.log(`not run: ${missing}`);
