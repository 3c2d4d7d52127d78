/**
 * A real Kubernetes API server with its etcd, on loopback, for the lab and for tests. It serves TLS
 * with a certificate of its own and knows its users from a token file. There are no other parts of
 * Kubernetes: no scheduler, no kubelet, no garbage collector.
 *
 * Owns both processes and the folder with their data; `stop` ends and removes them.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { LabError } from "../lab-error.js";
import { endChild, freePorts } from "./loopback.js";

const readyMsMax = 60_000;
const askEveryMs = 100;

/** Members of this group may do everything, whatever RBAC says. */
const administrators = "system:masters";

export interface KubernetesUser {
  /** `system:serviceaccount:NAMESPACE:NAME` for what RBAC binds to a service account. */
  readonly user: string;
  readonly groups: readonly string[];
}

/** Upstream version of the source package in Debian 12, which tools/kube-apiserver.mjs builds. */
export const kubeVersion = "1.20.2";
/** Raised when the build changes, so that nobody keeps a binary of before. */
const kubeBuild = 3;

/** Where a binary built by tools/kube-apiserver.mjs is, or will be; or the one named in the environment. */
export function kubeApiServerPath(): string {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const cached = join(cache, "spindle", `kube-apiserver-${kubeVersion}-${kubeBuild}-${process.arch}`);
  return process.env["SPINDLE_KUBE_APISERVER"] ?? cached;
}

export type WayToEtcd = (port: number) => Promise<number>;

export class KubernetesServer {
  readonly port: number;
  readonly #folder: string;
  readonly #etcdPort: number;
  readonly #etcdPeerPort: number;
  readonly #tokens: ReadonlyMap<string, string>;
  readonly #extra: readonly string[];
  /** Where the API server reaches its etcd. */
  #etcdWay = "";
  #etcd: ChildProcess | null = null;
  #apiServer: ChildProcess | null = null;

  private constructor(
    folder: string,
    ports: readonly number[],
    users: readonly KubernetesUser[],
    extra: readonly string[],
  ) {
    const [port, etcdPort, etcdPeerPort] = ports;
    this.port = port ?? 0;
    this.#etcdPort = etcdPort ?? 0;
    this.#etcdPeerPort = etcdPeerPort ?? 0;
    this.#folder = folder;
    this.#extra = extra;
    this.#tokens = writeTokens(join(folder, "tokens.csv"), users);
    writeServiceAccountKey(join(folder, "service-accounts.key"));
  }

  /**
   * @param extra flags of the API server
   * @param wayToEtcd the port by which the API server is to reach the etcd of the port given
   * @throws LabError LAB_REGISTRY_FAILED with the end of the log when a server does not get ready
   */
  static async start(
    users: readonly KubernetesUser[] = [],
    directory: string = tmpdir(),
    extra: readonly string[] = [],
    wayToEtcd: WayToEtcd = (port) => Promise.resolve(port),
  ): Promise<KubernetesServer> {
    const folder = mkdtempSync(join(directory, "spindle-kubernetes-"));
    const all = [{ user: "administrator", groups: [administrators] }, ...users];
    const ports = await freePorts(3);
    const server = new KubernetesServer(folder, ports, all, extra);
    try {
      server.startEtcd();
      server.#etcdWay = `http://127.0.0.1:${await wayToEtcd(server.#etcdPort)}`;
      await server.startApiServer();
    } catch (cause) {
      await server.stop();
      throw cause;
    }
    return server;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  /** Of the etcd behind it, for tests of compaction. */
  get etcdUrl(): string {
    return `http://127.0.0.1:${this.#etcdPort}`;
  }

  /** The server's certificate, which is its own authority. */
  get caFile(): string {
    return join(this.#folder, "certificates/apiserver.crt");
  }

  tokenOf(user = "administrator"): string {
    const token = this.#tokens.get(user);
    if (token === undefined) throw new Error(`no user ${user}`);
    return token;
  }

  /** Of the API server's process, for tests that pause it and for what it costs. */
  get processId(): number {
    return this.#apiServer?.pid ?? 0;
  }

  /** Of the etcd behind it. */
  get etcdProcessId(): number {
    return this.#etcd?.pid ?? 0;
  }

  /** A kubeconfig of one user. @param port of a way to the server. @returns its path */
  writeKubeconfig(user: string, namespace: string, port = this.port): string {
    const via = port === this.port ? "" : `-${port}`;
    const path = join(this.#folder, `${user.replaceAll(":", "_")}${via}.kubeconfig`);
    const server = `https://127.0.0.1:${port}`;
    const document = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "lab",
      clusters: [
        { name: "lab", cluster: { server, "certificate-authority": this.caFile } },
      ],
      users: [{ name: "user", user: { token: this.tokenOf(user) } }],
      contexts: [{ name: "lab", context: { cluster: "lab", user: "user", namespace } }],
    };
    writeFileSync(path, JSON.stringify(document, null, 2), { mode: 0o600 });
    return path;
  }

  /** Also again after `stopEtcd`, with what it holds. Does not wait until it serves. */
  startEtcd(): void {
    const url = this.etcdUrl;
    const peerUrl = `http://127.0.0.1:${this.#etcdPeerPort}`;
    this.#etcd = this.#spawn("/usr/bin/etcd", "etcd", [
      ...["--data-dir", join(this.#folder, "etcd"), "--log-level", "error"],
      ...["--listen-client-urls", url, "--advertise-client-urls", url],
      ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
      ...["--initial-cluster", `default=${peerUrl}`],
    ]);
  }

  /** Again after `stopApiServer`: at the same port, with what etcd holds. */
  async startApiServer(): Promise<void> {
    const keyFile = join(this.#folder, "service-accounts.key");
    this.#apiServer = this.#spawn(kubeApiServerPath(), "apiserver", [
      ...["--etcd-servers", this.#etcdWay, "--bind-address", "127.0.0.1"],
      ...["--secure-port", String(this.port), "--cert-dir", join(this.#folder, "certificates")],
      ...["--token-auth-file", join(this.#folder, "tokens.csv"), "--authorization-mode", "RBAC"],
      ...["--disable-admission-plugins", "ServiceAccount", "--allow-privileged"],
      ...["--service-cluster-ip-range", "10.96.0.0/24", "--service-account-issuer", "lab"],
      ...["--service-account-key-file", keyFile, "--service-account-signing-key-file", keyFile],
      ...this.#extra,
    ]);
    await this.#untilReady();
  }

  async stopApiServer(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.#apiServer !== null) await endChild(this.#apiServer, signal);
  }

  async stopEtcd(): Promise<void> {
    if (this.#etcd !== null) await endChild(this.#etcd, "SIGKILL");
  }

  async stop(): Promise<void> {
    await this.stopApiServer();
    await this.stopEtcd();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #spawn(program: string, name: string, args: readonly string[]): ChildProcess {
    const log = openSync(join(this.#folder, `${name}.log`), "a", 0o600);
    // It ends with this process, however that ends (prctl(2), PR_SET_PDEATHSIG).
    return spawn("setpriv", ["--pdeathsig", "KILL", program, ...args], {
      stdio: ["ignore", log, log],
    });
  }

  async #untilReady(): Promise<void> {
    const untilMs = performance.now() + readyMsMax;
    while (!(await this.#isReady())) {
      const isOver = this.#etcd?.exitCode !== null || this.#apiServer?.exitCode !== null;
      if (isOver || performance.now() > untilMs) throw this.#failure();
      await new Promise((resolve) => setTimeout(resolve, askEveryMs));
    }
  }

  /** Its first namespace is made a moment after it calls itself ready, and until then takes no object. */
  async #isReady(): Promise<boolean> {
    return (await this.#serves("/readyz")) && (await this.#serves("/api/v1/namespaces/default"));
  }

  /** Also that it knows the token's user, which `/readyz` alone does not say. */
  #serves(path: string): Promise<boolean> {
    return new Promise((resolve) => {
      const headers = { authorization: `Bearer ${this.tokenOf()}` };
      // It makes its certificate while it starts.
      if (!existsSync(this.caFile)) return resolve(false);
      const options = { headers, timeout: 2_000, ca: readFileSync(this.caFile) };
      const asked = request(`${this.url}${path}`, options, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      asked.on("timeout", () => asked.destroy());
      asked.on("error", () => resolve(false));
      asked.end();
    });
  }

  #failure(): LabError {
    const tails = ["etcd", "apiserver"].map((name) => {
      const lines = readFileSync(join(this.#folder, `${name}.log`), "utf8").trim().split("\n");
      return `${name}: ${lines.slice(-5).join(" | ")}`;
    });
    const message = `the Kubernetes API server of the lab did not get ready: ${tails.join("; ")}`;
    return new LabError("LAB_REGISTRY_FAILED", message);
  }
}

/** Lines of `token,user,uid,"groups"`. */
function writeTokens(
  path: string,
  users: readonly KubernetesUser[],
): ReadonlyMap<string, string> {
  const tokens = new Map(users.map(({ user }) => [user, randomBytes(16).toString("hex")]));
  const lines = users.map(
    ({ user, groups }, number) => `${tokens.get(user)},${user},${number},"${groups.join(",")}"\n`,
  );
  writeFileSync(path, lines.join(""), { mode: 0o600 });
  return tokens;
}

/** The server wants one, also when nobody asks it for tokens. */
function writeServiceAccountKey(path: string): void {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  writeFileSync(path, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
}
