/**
 * A cluster of three etcd members for a lab, in which every program reaches every member through a
 * proxy of its own: so that any of them can be cut off alone. The lab itself looks past them.
 *
 *   agent 0 ── proxy ─┐
 *   agent 1 ── proxy ─┼─ member 1      and the same for members 2 and 3
 *   controller ─ proxy┘
 */
import assert from "node:assert/strict";
import type { LabLayout } from "../../../src/lab/fleet/layout.js";
import { EtcdLabRegistry, sectionOf } from "../../../src/lab/registry/etcd.js";
import type { EtcdMember } from "../../../src/lab/registry/etcd-member.js";
import type { LabRegistry } from "../../../src/lab/registry/lab-registry.js";
import { TcpProxy } from "../tcp-proxy.js";
import { controllers, type ChaosRegistry } from "./chaos-registry.js";
import type { Target } from "./faults.js";

const size = 3;

export class ProxiedEtcd implements ChaosRegistry {
  readonly #programs: number;
  #inner: EtcdLabRegistry | null = null;
  /** By program, then by member. */
  #proxies: readonly (readonly TcpProxy[])[] = [];

  constructor(nodes: number) {
    this.#programs = nodes + controllers;
  }

  get servers(): readonly Target[] {
    return this.#members.map((member, index) => this.#target(member, index));
  }

  readonly make = ({ directory }: LabLayout): LabRegistry => {
    const inner = new EtcdLabRegistry({ directory, endpoints: [], size });
    this.#inner = inner;
    return {
      start: async () => {
        await inner.start();
        await this.#open();
      },
      agentSection: (node) => this.section(node),
      controllerSection: () => this.section(this.#programs - controllers),
      connect: inner.connect,
      connectGateways: inner.connectGateways,
      ports: inner.ports,
      stop: async () => {
        for (const proxy of this.#proxies.flat()) await proxy.cut();
        await inner.stop();
      },
    };
  };

  section(program: number): object {
    const proxies = this.#proxies[program];
    assert.ok(this.#inner !== null && proxies !== undefined, "it was started");
    const endpoints = proxies.map(({ port }) => ({ host: "127.0.0.1", port }));
    return sectionOf(endpoints, this.#inner.prefix);
  }

  freezeProgram(program: number): void {
    for (const proxy of this.#proxies[program] ?? []) proxy.freeze();
  }

  thawProgram(program: number): void {
    for (const proxy of this.#proxies[program] ?? []) proxy.thaw();
  }

  async takeAway(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.stop("SIGKILL")));
  }

  async bringBack(): Promise<void> {
    for (const member of this.#members) member.start();
  }

  get #members(): readonly EtcdMember[] {
    return this.#inner?.members ?? [];
  }

  async #open(): Promise<void> {
    this.#proxies = Array.from({ length: this.#programs }, () =>
      this.#members.map((member) => new TcpProxy(member.endpoint.port)),
    );
    await Promise.all(this.#proxies.flat().map((proxy) => proxy.open()));
  }

  #target(member: EtcdMember, index: number): Target {
    const ways = (): readonly TcpProxy[] => this.#proxies.flatMap((proxies) => proxies[index] ?? []);
    return {
      name: `etcd member ${index + 1}`,
      begin: {
        kill: async () => {
          await member.stop("SIGKILL");
          return async () => member.start();
        },
        stop: async () => {
          member.signal("SIGSTOP");
          return async () => member.signal("SIGCONT");
        },
        // No program reaches it; its peers still do.
        cut: async () => {
          await Promise.all(ways().map((way) => way.cut()));
          return async () => void (await Promise.all(ways().map((way) => way.open())));
        },
      },
    };
  }
}
