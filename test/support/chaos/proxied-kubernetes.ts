/**
 * A Kubernetes API server for a lab, with a proxy of its own between it and each program, and one between it and its
 * etcd: so that any of them can be cut off alone. The lab itself looks past them.
 *
 *   agent 0 ── proxy ─┐
 *   agent 1 ── proxy ─┼─ API server ── proxy ── etcd
 *   controller ─ proxy┘
 */
import assert from "node:assert/strict";
import type { LabLayout } from "../../../src/lab/fleet/layout.js";
import { KubernetesLabRegistry } from "../../../src/lab/registry/kubernetes.js";
import type { LabRegistry } from "../../../src/lab/registry/lab-registry.js";
import type { KubernetesServer } from "../../../src/lab/servers/kubernetes.js";
import { LabError } from "../../../src/lab/lab-error.js";
import { TcpProxy } from "../tcp-proxy.js";
import { controllers, type ChaosRegistry } from "./chaos-registry.js";
import type { Target } from "./faults.js";

/** One that was started while its etcd was away gives up; a kubelet would start it again. */
const startsMax = 5;

export class ProxiedKubernetes implements ChaosRegistry {
  readonly #programs: number;
  #inner: KubernetesLabRegistry | null = null;
  #ways: readonly TcpProxy[] = [];
  #wayToEtcd: TcpProxy | null = null;

  constructor(nodes: number) {
    this.#programs = nodes + controllers;
  }

  get servers(): readonly Target[] {
    return [this.#apiServerTarget(), this.#etcdTarget()];
  }

  readonly make = ({ directory }: LabLayout): LabRegistry => {
    const inner = new KubernetesLabRegistry(directory, async (etcdPort) => {
      this.#wayToEtcd = new TcpProxy(etcdPort);
      await this.#wayToEtcd.open();
      return this.#wayToEtcd.port;
    });
    this.#inner = inner;
    return {
      start: async () => {
        await inner.start();
        this.#ways = Array.from({ length: this.#programs }, () => new TcpProxy(inner.server.port));
        await Promise.all(this.#ways.map((way) => way.open()));
      },
      agentSection: (node) => this.section(node),
      controllerSection: () => this.section(this.#programs - controllers),
      connect: inner.connect,
      connectGateways: inner.connectGateways,
      ports: inner.ports,
      stop: async () => {
        await Promise.all(this.#ways.map((way) => way.cut()));
        await inner.stop();
        await this.#wayToEtcd?.cut();
      },
    };
  };

  section(program: number): object {
    assert.ok(this.#inner !== null, "it was started");
    return this.#inner.section(this.#ways[program]?.port);
  }

  freezeProgram(program: number): void {
    this.#ways[program]?.freeze();
  }

  thawProgram(program: number): void {
    this.#ways[program]?.thaw();
  }

  async takeAway(): Promise<void> {
    await this.#server.stopApiServer();
    await this.#server.stopEtcd();
  }

  async bringBack(): Promise<void> {
    this.#server.startEtcd();
    await this.#startApiServer();
  }

  get #server(): KubernetesServer {
    assert.ok(this.#inner !== null, "it was started");
    return this.#inner.server;
  }

  async #startApiServer(): Promise<void> {
    for (let left = startsMax - 1; ; left--) {
      try {
        return await this.#server.startApiServer();
      } catch (cause) {
        if (!(cause instanceof LabError) || left === 0) throw cause;
      }
    }
  }

  #apiServerTarget(): Target {
    const server = this.#server;
    return {
      name: "API server",
      begin: {
        kill: async () => {
          await server.stopApiServer();
          return () => this.#startApiServer();
        },
        stop: async () => pause(server.processId),
        cut: async () => {
          await Promise.all(this.#ways.map((way) => way.cut()));
          return async () => void (await Promise.all(this.#ways.map((way) => way.open())));
        },
      },
    };
  }

  #etcdTarget(): Target {
    const server = this.#server;
    return {
      name: "etcd of the API server",
      begin: {
        kill: async () => {
          await server.stopEtcd();
          return async () => server.startEtcd();
        },
        stop: async () => pause(server.etcdProcessId),
        cut: async () => {
          this.#wayToEtcd?.freeze();
          return async () => this.#wayToEtcd?.thaw();
        },
      },
    };
  }
}

function pause(processId: number): () => Promise<void> {
  process.kill(processId, "SIGSTOP");
  return async () => void process.kill(processId, "SIGCONT");
}
