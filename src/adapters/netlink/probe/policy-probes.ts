/**
 * Probes under an SPI that the peer's policy does not select: a narrower outbound policy, pinned to that SPI, is there for as
 * long as it takes to hand the packets to the kernel, which encrypts them within the call. One that a crash leaves carries our
 * band and no place that anything wants, so that the next dump removes it.
 */
import { modeOf } from "../../../core/node.js";
import type { Probe, ProbeOutcome } from "../../../core/probe.js";
import type { PolicySpec } from "../../../core/sa.js";
import { describeKernelError, isCollision } from "../codec/errno.js";
import type { XfrmPolicy } from "../codec/model.js";
import { appendPolicy } from "../codec/policy.js";
import type { LocalNode } from "../kernel/local-node.js";
import { probePriority } from "../kernel/ownership.js";
import { xfrmPolicyOf } from "../kernel/policy-translation.js";
import type { Reader } from "../kernel/read-back.js";
import { remove } from "../kernel/removal.js";
import { foreignHolder } from "../kernel/slot-holder.js";
import { refuse } from "../kernel/translate.js";
import { sendProbe } from "./prober.js";
import type { Within } from "./sockets.js";

/** @returns the outcomes that are waited for, in the order of the probes; the policies are gone. @throws PortError */
export async function sendProbes(
  { socket, local }: Reader,
  within: Within,
  probes: readonly Probe[],
  signal: AbortSignal,
): Promise<readonly Promise<ProbeOutcome>[]> {
  const failures = new Map<Probe, ProbeOutcome>();
  const possible = probes.filter((probe) => {
    const refusal = refuse({ kind: "set-policy", policy: policyTo(probe, local) }, local);
    if (refusal !== null) failures.set(probe, { kind: "failed", ...refusal });
    return refusal === null;
  });
  const policies = possible.map((probe) => probePolicyOf(probe, local));
  const refused = await socket.send(policies, (batch, policy) => appendPolicy(batch, "add", policy));
  for (const { index, error } of refused) {
    const why = isCollision(error) ? foreignHolder("policy for the probe") : describeKernelError(error);
    failures.set(possible[index]!, { kind: "failed", ...why });
  }
  try {
    return within(() => probes.map((probe) => failures.get(probe) ?? sendProbe(probe, local.probePort, signal)).map(asPromise));
  } finally {
    const made = policies.filter((_, index) => !failures.has(possible[index]!));
    await remove(socket, { sas: [], policies: made });
  }
}

async function asPromise(outcome: ProbeOutcome | Promise<ProbeOutcome>): Promise<ProbeOutcome> {
  return outcome;
}

export function probePolicyOf(probe: Probe, local: LocalNode): XfrmPolicy {
  const spec = policyTo(probe, local);
  const policy = xfrmPolicyOf(spec, { slot: spec, direction: "out", packets: "probes" }, local);
  return { ...policy, priority: local.ownership.priority + probePriority };
}

function policyTo({ peer, family, local: { address }, remote, spi }: Probe, { addresses }: LocalNode): PolicySpec {
  const isTunnel = modeOf(addresses) === "tunnel";
  const slot = { direction: "out", peer, family, remote, ...(isTunnel ? { local: address } : {}) } as const;
  return { ...slot, action: { kind: "protect", spi, ...(isTunnel ? { outer: remote.address } : {}) } };
}
