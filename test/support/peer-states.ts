/** What an agent's machine looks at for one peer, for tests: contexts, SAs and policies of node 1 towards node 2. */
import type { KeyIdentity } from "../../src/core/key-id.js";
import type { RosterEntry } from "../../src/core/node.js";
import type { Context } from "../../src/core/rotation/context.js";
import type { CheckpointNode } from "../../src/core/rotation/durable.js";
import { heldSa, type HeldPolicy, type HeldSa } from "../../src/core/rotation/held.js";
import { families, pathBetween, saSpec, type Path } from "../../src/core/rotation/path.js";
import { saSlotOf, type Operation, type PolicyAction, type SaView } from "../../src/core/sa.js";
import { splitSpi } from "../../src/core/spi.js";
import { testEntry, testKey } from "./fleet-snapshot.js";

export const self = testEntry(1);
export const peer = testEntry(2);
/** The same two with both address families. */
export const dualSelf: RosterEntry = { ...self, addresses: { ...self.addresses, ipv6: "2001:db8::1" } };
export const dual: RosterEntry = { ...peer, addresses: { ...peer.addresses, ipv6: "2001:db8::2" } };

/** Pairwise, steady on key 1, unless changed. */
export function makeContext(changes: Partial<Context> = {}): Context {
  const current = testKey(1);
  return {
    self,
    current,
    next: null,
    hold: [current],
    installable: changes.hold ?? [current],
    candidates: [current],
    refused: [],
    evidence: { kind: "pairwise" },
    mayDelete: true,
    level: "require",
    isClosing: false,
    isEmergency: false,
    sampleRate: 0,
    ...changes,
  };
}

function pathsTo(entry: RosterEntry): readonly Path[] {
  return families.map((family) => pathBetween(self, entry, family)).filter((path) => path !== null);
}

/** The right SA of `key`, in every address family that both have. */
export function sasOf(direction: "in" | "out", key: KeyIdentity, entry = peer, packets = 0): readonly HeldSa[] {
  return viewsOf(direction, key, entry, packets).map((view) => heldSa(view, view.slot.remote));
}

/** The same as a port shows it. */
export function viewsOf(direction: "in" | "out", key: KeyIdentity, entry = peer, packets = 0): readonly SaView[] {
  return pathsTo(entry).map((path) => {
    const spec = saSpec({ self }, entry, path, direction, key.keyId);
    return { slot: saSlotOf(spec), key: spec.key, bytes: "match", packets, sequence: packets };
  });
}

export function policiesOf(direction: "in" | "out", action: PolicyAction, entry = peer): readonly HeldPolicy[] {
  return pathsTo(entry).map(({ family, remote }) => ({ direction, family, local: undefined, remote, action }));
}

/** An outbound policy that selects our SA of `key`. */
export function selecting(key: KeyIdentity, entry = peer): readonly HeldPolicy[] {
  const spi = sasOf("out", key, entry)[0]?.spi;
  if (spi === undefined) throw new Error("no path");
  return policiesOf("out", { kind: "protect", spi }, entry);
}

export const accepting = (entry: RosterEntry = peer): readonly HeldPolicy[] => policiesOf("in", { kind: "accept" }, entry);

export function recordOf(keys: readonly KeyIdentity[], entry = peer): CheckpointNode {
  return { entry, selfIncarnationId: self.incarnationId, selfIndex: self.index, sentWith: keys };
}

/** As a line of text, without what follows from the rest. */
export function describe(operation: Operation): string {
  switch (operation.kind) {
    case "install-sa":
      return `install ${operation.sa.direction} ${operation.sa.key.keyId}`;
    case "delete-sa":
      return `delete ${operation.slot.direction} ${splitSpi(operation.slot.spi).keyId}`;
    case "set-policy":
      return `policy ${operation.policy.direction} ${describeAction(operation.policy.action)}`;
    case "delete-policy":
      return `delete policy ${operation.policy.direction}`;
  }
}

function describeAction(action: PolicyAction): string {
  return action.kind === "protect" ? `key ${splitSpi(action.spi).keyId}` : action.kind;
}
