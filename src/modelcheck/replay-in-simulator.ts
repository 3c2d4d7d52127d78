/**
 * Plays a counterexample in the simulator: the same moves, on the real loops, with real-looking packets. A model that is
 * wrong about the code shows here: the run gets stuck, or breaks nothing. Between two moves virtual time passes, so that
 * saves, dumps and registrations come to their end, as they have at once in the model.
 */
import { fail, succeed, type Result } from "../core/result.js";
import type { OperatorRequest } from "../core/fleet/record.js";
import type { NodeName } from "../core/node.js";
import { hasConverged } from "../sim/checkers/convergence.js";
import { alwaysLeading } from "../sim/mutants/coordination.js";
import { mutants } from "../sim/mutants/named-mutants.js";
import type { SimOptions } from "../sim/options.js";
import { packetsOf } from "../sim/model/losses.js";
import { SimFleet } from "../sim/fleet.js";
import type { CounterexampleFile } from "./counterexample-file.js";
import { Gate } from "./gate.js";
import type { Move, Who } from "./moves.js";
import { ownMutants } from "./own-mutants.js";
import { keyOf, nodeNames } from "./scope.js";

export interface Played {
  /** Does the simulator find it broken? S2 shows there as the loss that it leads to. */
  readonly confirmed: boolean;
  /** The move, from 1, that was not possible there, with the reason; null when all were. */
  readonly stuckAt: { readonly move: number; readonly why: string } | null;
  /** What was seen, one line each. */
  readonly observed: readonly string[];
}

/** Null for a text that is no counterexample of this version. */
export function parseCounterexample(text: string): CounterexampleFile | null {
  if (!text.trimStart().startsWith("{")) return null;
  try {
    const file = JSON.parse(text) as Partial<CounterexampleFile> | null;
    return file?.kind === "modelcheck-counterexample" && file.schemaVersion === 1 ? (file as CounterexampleFile) : null;
  } catch {
    return null;
  }
}

export function replayCounterexample(text: string): Result<Played, string> {
  const file = parseCounterexample(text);
  if (file === null) return fail("not a counterexample of spindle modelcheck, version 1");
  const { mutant } = file;
  if (mutant !== null && !mutants.has(mutant) && !ownMutants.has(mutant)) return fail(`there is no mutant ${mutant}`);
  return succeed(new Player(file).play());
}

/** Long enough for every request of one turn, and for the spacing of a controller's decisions. */
const moveMs = 300;
/** A failed request is tried again within this time. */
const retryMs = 400;
/** A sender may take this long to act on what it has seen; only then the simulator calls a packet lost. */
const outcomeMs = 1_000;
/** The controller takes a node for silent after this time; a move that makes it so takes longer. */
const silentMs = 1_500;
const settleMs = 20_000;
const farMs = 1e12;

function durationOf(move: Move): number {
  if (move.kind === "miss") return 2 * silentMs;
  // Until the controller has listed the leases again.
  if (move.kind === "hear") return silentMs;
  return move.kind === "lose-report" || move.kind === "notice-reboot" ? retryMs : moveMs;
}

class Player {
  readonly #file: CounterexampleFile;
  readonly #fleet: SimFleet;
  readonly #gates = new Map<Who, Gate>();
  readonly #files = new Map<string, readonly number[]>();
  /** The simulator numbers controllers by their starts; a move names the place. */
  readonly #controllers: number[] = [];
  #startingController = 0;
  #isOpen = true;

  constructor(file: CounterexampleFile) {
    this.#file = file;
    this.#fleet = new SimFleet(this.#options());
  }

  play(): Played {
    this.#form();
    const { moves } = this.#file;
    for (const [index, move] of moves.entries()) {
      const why = this.#perform(move);
      if (why !== null) return { confirmed: false, stuckAt: { move: index + 1, why }, observed: [] };
      this.#fleet.run(durationOf(move));
    }
    this.#fleet.run(outcomeMs);
    return this.#judge();
  }

  #options(): SimOptions {
    const { coordination, mutant, levels = 0 } = this.#file;
    const changes = mutant === null ? {} : (mutants.get(mutant)?.changes ?? {});
    const own = mutant === null ? undefined : ownMutants.get(mutant);
    return {
      seed: 1,
      coordination,
      ...changes,
      ...(own?.step === undefined ? {} : { step: () => own.step }),
      ...(own?.controllerStep === undefined ? {} : { controllerStep: own.controllerStep }),
      registryDelayMs: () => 0.2,
      operationMs: () => 0.05,
      packetIntervalMs: 1,
      agent: { drainMs: 0, retireDeadlineMs: farMs, emergencyDeadlineMs: farMs, reportIntervalMs: 0, resyncMs: farMs, ...(levels > 0 ? { policyLevel: "accept" } : {}) },
      isOpen: levels > 0,
      controller: { silent: "exclude", silentMs, excludeShareMax: 0, slow: "wait", drainMs: 0, stageDeadlineMs: farMs, retireDeadlineMs: farMs },
      wrapAgentPorts: (name, ports) => {
        const gate = this.#newGate(name, name);
        const inner = changes.wrapAgentPorts?.(name, ports) ?? ports;
        return { ...inner, kernel: gate.kernel(inner.kernel), registry: gate.registry(inner.registry) };
      },
      wrapControllerPorts: (name, ports) => {
        const gate = this.#newGate(`controller-${this.#startingController}`, null);
        const inner = changes.wrapControllerPorts?.(name, ports) ?? ports;
        const registry = gate.leases(alwaysLeading(inner.registry), nodeNames(this.#file.nodes));
        return { ...inner, registry: gate.registry(registry) };
      },
    };
  }

  #newGate(who: Who, node: string | null): Gate {
    const gate = new Gate(node, this.#isOpen);
    this.#gates.set(who, gate);
    return gate;
  }

  /** The fleet at rest on key 1, without those who join; from then on everything waits. */
  #form(): void {
    const { controllers, nodes, joins } = this.#file;
    for (let place = 0; place < controllers; place += 1) this.#startController(place);
    for (const name of nodeNames(nodes).slice(0, nodes - joins)) this.#fleet.addNode(name, [keyOf(1)]);
    this.#fleet.run(settleMs / 2);
    this.#isOpen = false;
    for (const gate of this.#gates.values()) gate.close();
  }

  #startController(place: number): void {
    this.#startingController = place;
    this.#controllers[place] = this.#fleet.addController();
  }

  /** Null when the move was possible. */
  #perform(move: Move): string | null {
    switch (move.kind) {
      case "offer-key":
        return null;
      case "abort":
        return this.#ask({ id: `abort-${move.keyId}`, kind: "abort", abort: keyOf(move.keyId) });
      case "ask-level":
        return this.#ask({ id: `level-${move.level}`, kind: "level", abort: null, level: move.level });
      case "read-file":
        return this.#readFile(move.who, move.keyIds);
      case "start":
      case "join":
        return this.#start(move.who);
      case "crash":
        return this.#crash(move.who, move.stages);
      case "reboot-host":
        return this.#reboot(move.who, true);
      case "reboot-dataplane":
        return this.#reboot(move.who, false);
      default:
        return this.#letThrough(move);
    }
  }

  #letThrough(move: Exclude<Move, { kind: "offer-key" | "abort" | "ask-level" }>): string | null {
    const gate = this.#gates.get(move.who);
    if (gate === undefined) return `${move.who} does not run`;
    switch (move.kind) {
      case "read":
        return gate.read(move.stream, move.events) ? null : `fewer than ${move.events} events of ${move.stream} wait for ${move.who}`;
      case "read-all":
        return gate.readAll() ? null : `nothing waits for ${move.who}`;
      case "notice-reboot":
        return gate.noticeReboot() ? null : `${move.who} has nothing to notice`;
      case "apply":
        return gate.apply() ? null : `${move.who} has no plan under way`;
      case "publish":
        return gate.publish() ? null : `${move.who} has no report under way`;
      case "lose-events":
        return gate.loseEvents(move.stream) ? null : `${move.who} does not watch ${move.stream}`;
      case "hear":
        return gate.hear(move.node) ? null : `${move.who} did not miss ${move.node}`;
      case "miss":
        gate.miss(move.node);
        return null;
      case "lose-report":
        return gate.loseReport() ? null : `${move.who} has no report to lose`;
      default:
        return `unknown move ${move.kind}`;
    }
  }

  #ask(what: Pick<OperatorRequest, "id" | "kind" | "abort" | "level">): null {
    const texts = { reason: "counterexample", by: "modelcheck", at: "" };
    this.#fleet.registry.setRequest({ schemaVersion: 1, ...texts, compromised: null, ...what });
    return null;
  }

  #readFile(who: NodeName, keyIds: readonly number[]): null {
    this.#files.set(who, keyIds);
    if (this.#fleet.nodes.has(who)) this.#fleet.setKeys(who, keyIds.map(keyOf));
    return null;
  }

  #start(who: Who): null {
    const name = who as NodeName;
    if (who.startsWith("controller-")) this.#startController(Number(who.split("-")[1]));
    else if (this.#fleet.nodes.has(name)) this.#fleet.startAgent(name);
    else this.#fleet.addNode(who, (this.#files.get(who) ?? [1]).map(keyOf));
    return null;
  }

  #crash(who: Who, stages: number): string | null {
    if (who.startsWith("controller-")) {
      this.#fleet.killController(this.#controllers[Number(who.split("-")[1])] ?? -1);
      return null;
    }
    const isCarriedOut = this.#gates.get(who)?.applyStages(stages) ?? stages === 0;
    // Gates are shut: nothing but the kernel acts in this time.
    if (stages > 0) this.#fleet.run(moveMs);
    this.#fleet.killAgent(who as NodeName);
    return isCarriedOut ? null : `${who} has no plan under way`;
  }

  #reboot(who: NodeName, isHost: boolean): null {
    if (isHost) this.#fleet.rebootHost(who);
    else this.#fleet.reboot(who);
    return null;
  }

  #judge(): Played {
    const { invariant } = this.#file.violation;
    const losses = this.#fleet.losses();
    const [first] = losses;
    const observed = first === undefined ? [] : [`S1: ${packetsOf(losses)} packets lost, the first from ${first.from} to ${first.to} on key ${first.keyId} by ${first.reason}`];
    if (invariant === "L1") return this.#judgeRest(observed);
    const reused = [...this.#fleet.nodes.values()].flatMap(({ kernel }) => kernel.reusedOutbound);
    if (reused.length > 0) observed.push(`S4: ${reused.length} outbound SAs installed again`);
    return { confirmed: invariant === "S4" ? reused.length > 0 : losses.length > 0, stuckAt: null, observed };
  }

  /** Everything happens now that has to: a fleet that cannot come to rest does not. */
  #judgeRest(observed: string[]): Played {
    this.#isOpen = true;
    for (const gate of this.#gates.values()) gate.open();
    const hasRest = this.#fleet.runUntil(() => this.#isAtRest(), settleMs);
    observed.push(hasRest ? "the fleet came to rest" : `L1: the fleet did not come to rest within ${settleMs / 1_000} s`);
    return { confirmed: !hasRest, stuckAt: null, observed };
  }

  #isAtRest(): boolean {
    const record = this.#fleet.registry.fleet;
    if (this.#file.coordination === "barrier" && record?.phase !== "steady") return false;
    const newest = Math.max(1, ...[...this.#files.values()].map((keyIds) => keyIds.at(-1) ?? 1));
    return hasConverged(this.#fleet, keyOf(newest));
  }
}
