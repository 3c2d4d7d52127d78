/**
 * Peers whose agents do not exist, in a registry that real agents and a real controller use: they report what one real
 * agent reports, and renew their leases.
 */
import type { NodeName } from "../../src/core/node.js";
import type { Report } from "../../src/core/report.js";
import type { Stop } from "../../src/ports/failure.js";
import type { RegistryPort } from "../../src/ports/registry.js";
import { settled, type Echo } from "../agent/echoed-fleet.js";

const leaseMs = 20_000;
/** All in a third of a lease. */
const leaseRounds = 6;

/** @returns how it ends */
export function writeEchoes(registry: RegistryPort, heard: NodeName, echoes: readonly Echo[]): Stop {
  let latest: Report | null = null;
  let isWriting = false;
  const write = async (): Promise<void> => {
    if (isWriting) return;
    isWriting = true;
    for (let told: Report | null = null; told !== latest; ) {
      told = latest;
      await Promise.all(echoes.map((echo) => settled<null>((done) => registry.publishReport({ ...told!, ...echo }, done))));
    }
    isWriting = false;
  };
  const stopWatching = registry.watchReports((event) => {
    const items = event.kind === "listing" ? event.items : event.kind === "put" ? [event.item] : [];
    const news = items.find(({ node }) => node === heard);
    if (news === undefined) return;
    latest = news;
    void write();
  });
  let round = 0;
  const renewing = setInterval(() => {
    round += 1;
    const due = echoes.filter((_, index) => index % leaseRounds === round % leaseRounds);
    for (const { node, incarnationId } of due) registry.renewLease(node, incarnationId, leaseMs, () => undefined);
  }, leaseMs / 3 / leaseRounds);
  return () => {
    clearInterval(renewing);
    stopWatching();
  };
}
