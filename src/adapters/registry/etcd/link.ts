/**
 * The connection to one member of a cluster, and the move to another. A member that fails a call is
 * left for the next one, with a new connection even when there is only one: files of TLS are read
 * anew, and no backoff of an old connection stays.
 */
import { readFileSync } from "node:fs";
import { type ChannelCredentials, Client, credentials, type ClientOptions } from "@grpc/grpc-js";
import { assert } from "../../../core/assert.js";
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";
import { closedError } from "./faults.js";
import { formatEndpoint, type EtcdOptions, type EtcdTls } from "./options.js";

const clientOptions: ClientOptions = {
  "grpc.max_receive_message_length": limits.etcdMessageBytesMax,
  "grpc.max_send_message_length": limits.etcdMessageBytesMax,
  // Each registry of a process has a connection of its own.
  "grpc.use_local_subchannel_pool": 1,
  // A proxy of the environment is for the web, not for the store.
  "grpc.enable_http_proxy": 0,
};

export class EtcdLink {
  readonly #options: EtcdOptions;
  #client: Client | null = null;
  #next: number;
  #at = "";
  #isClosed = false;

  constructor(options: EtcdOptions) {
    this.#options = options;
    // Clients begin at different members.
    this.#next = Math.floor(Math.random() * options.endpoints.length);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get size(): number {
    return this.#options.endpoints.length;
  }

  /** The member in use, for people. */
  get at(): string {
    return this.#at;
  }

  /** @throws PortError REGISTRY_CLOSED, REGISTRY_TLS_UNREADABLE */
  client(): Client {
    if (this.#isClosed) throw closedError();
    this.#client ??= this.#connect();
    return this.#client;
  }

  /** `client` failed: if it is still the one in use, the next call goes to the next member. */
  leave(client: Client): void {
    if (this.#client !== client) return;
    this.#client = null;
    client.close();
  }

  close(): void {
    this.#isClosed = true;
    this.#client?.close();
    this.#client = null;
  }

  #connect(): Client {
    const { endpoints, tls } = this.#options;
    const endpoint = endpoints[this.#next % endpoints.length];
    assert(endpoint !== undefined, "a cluster has members");
    this.#next += 1;
    this.#at = formatEndpoint(endpoint);
    return new Client(this.#at, credentialsOf(tls), clientOptions);
  }
}

/** @throws PortError REGISTRY_TLS_UNREADABLE */
export function credentialsOf(tls: EtcdTls | null): ChannelCredentials {
  if (tls === null) return credentials.createInsecure();
  const { caFile, client } = tls;
  const ca = caFile === null ? null : readTlsFile(caFile);
  if (client === null) return createSsl(ca, null, null);
  return createSsl(ca, readTlsFile(client.keyFile), readTlsFile(client.certificateFile));
}

/** What is in the files is left out of the error: one of them is a private key. */
function createSsl(
  ca: Buffer | null,
  key: Buffer | null,
  certificate: Buffer | null,
): ChannelCredentials {
  try {
    return credentials.createSsl(ca, key, certificate);
  } catch {
    const message = "the TLS files for etcd are no certificates and key that belong together";
    throw new PortError("REGISTRY_TLS_UNREADABLE", message, true);
  }
}

function readTlsFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PortError("REGISTRY_TLS_UNREADABLE", `a TLS file for etcd: ${reason}`, true);
  }
}
