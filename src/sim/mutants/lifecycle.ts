/** Mutants of starts, departures and lifetimes: what a restart keeps, what a departure takes, what a reboot ends. */
import type { PolicySlot, Operation } from "../../core/sa.js";
import { saSlotKey } from "../../core/sa.js";
import type { NodeName, RosterEntry } from "../../core/node.js";
import { foreignPolicies, foreignSas } from "../checkers/foreign.js";
import type { AgentPorts } from "../../runtime/agent-loop.js";
import type { KernelDump, KernelPort } from "../../ports/kernel.js";
import type { KeyFileReading } from "../../ports/keystore.js";
import type { CheckValue, KeyId, KeyIdentity } from "../../core/key-id.js";
import { stepAgent } from "../../core/rotation/step.js";
import { withEffects, withObservation } from "./falsify.js";
import { ignoresLoss } from "./incarnation.js";
import { everywhere, type Mutant } from "./mutant.js";

/** The disk says "saved" at once, and saves later: a power cut shows it. */
function acknowledgesEarly({ storage, ...ports }: AgentPorts): AgentPorts {
  return {
    ...ports,
    storage: {
      ...storage,
      save: (name, format, done) => {
        storage.save(name, format, () => undefined);
        done({ ok: true, value: null });
      },
    },
  };
}

/** cilium #44701: the first dump of a process is of a kernel that it has just emptied. */
function flushed(kernel: KernelPort): KernelPort {
  let isFirst = true;
  return {
    ...kernel,
    dump: (recognise, done) => {
      if (!isFirst) return kernel.dump(recognise, done);
      isFirst = false;
      kernel.dump(recognise, (found) => {
        if (!found.ok) return done(found);
        kernel.apply([deletionsOf(found.value)], recognise, () => kernel.dump(recognise, done));
      });
    },
  };
}

function deletionsOf({ sas, policies }: KernelDump): readonly Operation[] {
  const slots = new Map(sas.map(({ slot }) => [saSlotKey(slot), slot] as const));
  return [
    ...policies.map(({ slot }: { readonly slot: PolicySlot }): Operation => ({ kind: "delete-policy", policy: slot })),
    ...[...slots.values()].map((slot): Operation => ({ kind: "delete-sa", slot })),
  ];
}

/** What another IPsec daemon owns looks like ours that nobody explains. */
function listingForeign(kernel: KernelPort): KernelPort {
  return {
    ...kernel,
    dump: (recognise, done) =>
      kernel.dump(recognise, (found) => {
        if (!found.ok) return done(found);
        const sas = [...found.value.sas, ...foreignSas];
        done({ ok: true, value: { ...found.value, sas, policies: [...found.value.policies, ...foreignPolicies] } });
      }),
  };
}

/** Where nothing protects yet, the packet goes as it is. */
const sendsPlain = withEffects((effect) => {
  if (effect.kind !== "apply") return effect;
  return { ...effect, stages: effect.stages.map((stage) => stage.map(openInsteadOfBlock)) };
});

function openInsteadOfBlock(operation: Operation): Operation {
  if (operation.kind !== "set-policy" || operation.policy.action.kind !== "block") return operation;
  return { ...operation, policy: { ...operation.policy, action: { kind: "pass" } } };
}

/** cilium #33278: the deletion of a node is an event, and this one is lost until somebody else has the address. */
function withoutDeletions({ registry, ...ports }: AgentPorts): AgentPorts {
  const seen = new Map<NodeName, RosterEntry>();
  const replace = (entry: RosterEntry): readonly NodeName[] => {
    const former = [...seen.values()].filter((one) => one.name !== entry.name && sharesAddress(one, entry));
    for (const { name } of former) seen.delete(name);
    seen.set(entry.name, entry);
    return former.map(({ name }) => name);
  };
  return {
    ...ports,
    registry: {
      ...registry,
      watchRoster: (listener) =>
        registry.watchRoster((event) => {
          if (event.kind === "removed") return;
          const items = event.kind === "listing" ? event.items : event.kind === "put" ? [event.item] : [];
          const gone = items.flatMap(replace);
          if (event.kind === "listing") return listener({ ...event, items: [...seen.values()] });
          for (const name of gone) listener({ kind: "removed", revision: event.kind === "put" ? event.revision : 0, name });
          listener(event);
        }),
    },
  };
}

function sharesAddress(one: RosterEntry, other: RosterEntry): boolean {
  const { ipv4, ipv6 } = one.addresses;
  return (ipv4 !== null && ipv4 === other.addresses.ipv4) || (ipv6 !== null && ipv6 === other.addresses.ipv6);
}

/** cilium #29822: a node restored from the checkpoint counts as live, until somebody else has its address. */
const resurrects = withObservation((observation, { checkpoint }) => {
  const live = [...observation.roster.entries.values()];
  const entries = new Map(observation.roster.entries);
  for (const [name, { entry }] of checkpoint) {
    if (!entries.has(name) && !live.some((one) => sharesAddress(one, entry))) entries.set(name, entry);
  }
  if (entries.size === observation.roster.entries.size) return observation;
  return { ...observation, roster: { ...observation.roster, entries }, touched: "all" };
});

/** A reading that is not valid is taken as far as it got: the newest key is there, with bytes that are not whole. */
function committed(reading: KeyFileReading, before: readonly KeyIdentity[]): KeyFileReading {
  const newest = before.at(-1);
  if (reading.kind === "valid" || newest === undefined) return reading;
  const torn = { keyId: (newest.keyId + 1) as KeyId, check: newest.check.split("").reverse().join("") as CheckValue };
  return { kind: "valid", keys: [newest, torn] };
}

function withoutValidation({ keystore, ...ports }: AgentPorts): AgentPorts {
  let before: readonly KeyIdentity[] = [];
  return {
    ...ports,
    keystore: {
      ...keystore,
      watch: (read) =>
        keystore.watch((reading) => {
          const taken = committed(reading, before);
          if (taken.kind === "valid") before = taken.keys;
          read(taken);
        }),
    },
  };
}

export const lifecycleMutants: readonly Mutant[] = [
  {
    name: "act-before-saved",
    without: "an agent acts on what it decided only when its disk has it",
    changes: { wrapAgentPorts: (_name, ports) => acknowledgesEarly(ports) },
  },
  {
    name: "flush-on-start",
    without: "an agent adopts what is in the kernel when it starts",
    changes: { wrapAgentPorts: (_name, ports) => ({ ...ports, kernel: flushed(ports.kernel) }) },
  },
  {
    name: "drop-a-deletion",
    without: "a node that is missing from a complete listing has left",
    changes: { wrapAgentPorts: (_name, ports) => withoutDeletions(ports) },
  },
  {
    name: "resurrect-restored-node",
    without: "a node that is known from the checkpoint alone is not live",
    changes: everywhere(resurrects),
  },
  {
    name: "incarnation-ignored",
    without: "lost outbound state begins a new incarnation",
    changes: { step: ignoresLoss },
  },
  {
    name: "taken-spi-kept",
    without: "an SPI of ours that a foreign SA holds is left for that of a new incarnation",
    changes: everywhere(
      withObservation((observation) => ({ ...observation, kernel: { ...observation.kernel, takenSpi: null } })),
    ),
  },
  {
    name: "touch-foreign",
    without: "a dump lists only what carries our mark",
    changes: { wrapAgentPorts: (_name, ports) => ({ ...ports, kernel: listingForeign(ports.kernel) }) },
  },
  {
    name: "plain-until-covered",
    without: "packets to a peer that is not covered yet are blocked",
    changes: everywhere(sendsPlain),
  },
  {
    name: "commit-before-validate",
    without: "a key file is taken up as a whole or not at all",
    changes: { wrapAgentPorts: (_name, ports) => withoutValidation(ports) },
  },
  {
    name: "jitter-ignored",
    without: "agents spread the start of staging over the jitter window",
    changes: everywhere((state, observation, nowMs, options) =>
      stepAgent(state, observation, nowMs, { ...options, jitter: { ...options.jitter, enabled: false } }),
    ),
  },
];
