/** Real etcd servers for tests: one, or a cluster, in a directory of their own; and what only etcdctl can do. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { EtcdEndpoint, EtcdOptions } from "../../src/adapters/registry/etcd/options.js";
import { EtcdMember, type EtcdMemberSpec } from "../../src/lab/registry/etcd-member.js";
import { freePorts } from "../../src/lab/servers/loopback.js";
import { root } from "./repository.js";

const run = promisify(execFile);

interface SystemPackages {
  skipWithout(name: string): string | false;
}

/** For the `skip` option of a test. */
export async function skipWithoutEtcd(): Promise<string | false> {
  const path = pathToFileURL(join(root, "tools/system-packages.mjs")).href;
  const { skipWithout } = (await import(path)) as SystemPackages;
  return skipWithout("etcd-server") || skipWithout("etcd-client");
}

export interface EtcdCluster {
  readonly members: readonly EtcdMember[];
  readonly endpoints: readonly EtcdEndpoint[];
  /** Members that run serve requests. */
  ready(): Promise<void>;
  /** Runs etcdctl on the members named, all when none is. */
  control(words: readonly string[], members?: readonly number[]): Promise<string>;
  stop(): Promise<void>;
}

export interface ClusterOptions {
  /** More flags of each member, by the directory that holds its files. */
  readonly flags?: (directory: string) => readonly string[];
  readonly scheme?: "http" | "https";
  /** Flags of etcdctl. */
  readonly controlFlags?: readonly string[];
}

export async function startEtcd(size = 1, options: ClusterOptions = {}): Promise<EtcdCluster> {
  const directory = mkdtempSync(join(tmpdir(), "spindle-etcd-"));
  const members = await makeMembers(size, directory, options);
  const endpoints = members.map((member) => member.endpoint);
  const control = (words: readonly string[], which?: readonly number[]): Promise<string> => {
    const named = endpoints.filter((_, index) => which?.includes(index) ?? true);
    return etcdctl(named, options, words);
  };
  const isHealthy = (index: number): Promise<boolean> =>
    control(["endpoint", "health"], [index]).then(
      () => true,
      () => false,
    );
  const ready = async (): Promise<void> => {
    const running = members.filter(({ pid }) => pid !== null);
    await Promise.all(running.map((member) => member.healthy(() => isHealthy(members.indexOf(member)))));
  };
  const stop = async (): Promise<void> => {
    await Promise.all(members.map((member) => member.stop("SIGKILL")));
    rmSync(directory, { recursive: true, force: true });
  };
  for (const member of members) member.start();
  await ready().catch(async (cause: unknown) => {
    await stop();
    throw cause;
  });
  return { members, endpoints, ready, control, stop };
}

async function makeMembers(
  size: number,
  directory: string,
  { flags, scheme = "http" }: ClusterOptions,
): Promise<readonly EtcdMember[]> {
  const ports = await freePorts(2 * size);
  const names = Array.from({ length: size }, (_, index) => `m${index}`);
  const peerPorts = new Map(names.map((name, index) => [name, ports[size + index] ?? 0]));
  return names.map((name, index) => {
    const own = join(directory, name);
    mkdirSync(own, { mode: 0o700 });
    const spec: EtcdMemberSpec = {
      name,
      directory: own,
      clientPort: ports[index] ?? 0,
      peerPort: peerPorts.get(name) ?? 0,
      peerPorts,
      scheme,
      flags: flags?.(own) ?? [],
    };
    return new EtcdMember(spec);
  });
}

async function etcdctl(
  endpoints: readonly EtcdEndpoint[],
  { scheme = "http", controlFlags = [] }: ClusterOptions,
  words: readonly string[],
): Promise<string> {
  const list = endpoints.map(({ host, port }) => `${scheme}://${host}:${port}`).join(",");
  const env = { ...process.env, ETCDCTL_API: "3" };
  const flags = ["--endpoints", list, "--command-timeout", "3s", ...controlFlags];
  const { stdout } = await run("etcdctl", [...flags, ...words], { env });
  return stdout;
}

/** Compacts all history up to now. */
export async function compact(cluster: EtcdCluster): Promise<void> {
  await cluster.control(["compact", String(await revisionOf(cluster))]);
}

export async function revisionOf(cluster: EtcdCluster): Promise<number> {
  const text = await cluster.control(["get", "/", "--limit", "1", "--write-out", "json"]);
  const parsed = JSON.parse(text) as { readonly header?: { readonly revision?: number } };
  const revision = parsed.header?.revision;
  assert.ok(revision !== undefined, text);
  return revision;
}

let fleets = 0;

/** Options of a fleet that has the cluster's keys for itself. */
export function freshFleet(endpoints: readonly EtcdEndpoint[]): EtcdOptions {
  fleets += 1;
  return { endpoints, prefix: `/spindle/test-${fleets}/`, tls: null, login: null };
}

/** Index of the member that leads. */
export async function leaderOf(cluster: EtcdCluster): Promise<number> {
  const text = await cluster.control(["endpoint", "status", "--write-out", "json"]);
  const rows = JSON.parse(text) as readonly {
    readonly Endpoint: string;
    readonly Status: { readonly leader: number; readonly header: { readonly member_id: number } };
  }[];
  const row = rows.find(({ Status }) => Status.leader === Status.header.member_id);
  const index = cluster.endpoints.findIndex(({ port }) => row?.Endpoint.endsWith(`:${port}`));
  assert.ok(index >= 0, text);
  return index;
}
