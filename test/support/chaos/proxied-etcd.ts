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

const members = 3;

export class ProxiedEtcd {
  readonly #programs: number;
  #inner: EtcdLabRegistry | null = null;
  /** By program, then by member; the controller is the last program. */
  #proxies: readonly (readonly TcpProxy[])[] = [];

  constructor(nodes: number) {
    this.#programs = nodes + 1;
  }

  get members(): readonly EtcdMember[] {
    return this.#inner?.members ?? [];
  }

  /** For `LabHost.makeRegistry`. */
  readonly make = ({ directory }: LabLayout): LabRegistry => {
    const inner = new EtcdLabRegistry({ directory, endpoints: [], size: members });
    this.#inner = inner;
    return {
      start: async () => {
        await inner.start();
        await this.#open();
      },
      agentSection: (node) => this.#section(node),
      controllerSection: () => this.#section(this.#programs - 1),
      connect: inner.connect,
      connectGateways: inner.connectGateways,
      ports: inner.ports,
      stop: async () => {
        for (const proxy of this.#proxies.flat()) await proxy.cut();
        await inner.stop();
      },
    };
  };

  /** A network that drops everything between one program and the registry. */
  freezeProgram(program: number): void {
    for (const proxy of this.#proxies[program] ?? []) proxy.freeze();
  }

  thawProgram(program: number): void {
    for (const proxy of this.#proxies[program] ?? []) proxy.thaw();
  }

  /** One member cannot be reached by any program; its peers still can. */
  async cutMember(member: number): Promise<void> {
    for (const proxies of this.#proxies) await proxies[member]?.cut();
  }

  async mendMember(member: number): Promise<void> {
    for (const proxies of this.#proxies) await proxies[member]?.open();
  }

  async #open(): Promise<void> {
    this.#proxies = Array.from({ length: this.#programs }, () =>
      this.members.map((member) => new TcpProxy(member.endpoint.port)),
    );
    await Promise.all(this.#proxies.flat().map((proxy) => proxy.open()));
  }

  #section(program: number): object {
    const proxies = this.#proxies[program];
    assert.ok(this.#inner !== null && proxies !== undefined, "it was started");
    const endpoints = proxies.map(({ port }) => ({ host: "127.0.0.1", port }));
    return sectionOf(endpoints, this.#inner.prefix);
  }
}
