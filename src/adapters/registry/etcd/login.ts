/**
 * User and password, turned into the token that every request carries. A token is lost when its
 * member restarts or when it was not used for five minutes (etcd's simple tokens), so that it is
 * asked for again then; requests that want it at the same time ask once.
 */
import { readFile } from "node:fs/promises";
import { PortError } from "../../port-error.js";
import type { EtcdLogin } from "./options.js";

/** Sends one request of authentication. */
export type Authenticate = (user: string, password: string) => Promise<string>;

export class LoginToken {
  readonly #login: EtcdLogin | null;
  readonly #authenticate: Authenticate;
  #token: Promise<string> | null = null;

  constructor(login: EtcdLogin | null, authenticate: Authenticate) {
    this.#login = login;
    this.#authenticate = authenticate;
  }

  /** Null without a user. Rejects as the request does, or with REGISTRY_PASSWORD_UNREADABLE. */
  get(): Promise<string | null> {
    const login = this.#login;
    if (login === null) return Promise.resolve(null);
    this.#token ??= this.#ask(login);
    return this.#token;
  }

  /** A member did not know it. */
  forget(): void {
    this.#token = null;
  }

  async #ask(login: EtcdLogin): Promise<string> {
    try {
      return await this.#authenticate(login.user, await readPassword(login.passwordFile));
    } catch (cause) {
      this.#token = null;
      throw cause;
    }
  }
}

/** @throws PortError REGISTRY_PASSWORD_UNREADABLE */
export async function readPassword(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).replace(/\r?\n$/, "");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `the password for etcd cannot be read: ${reason}`;
    throw new PortError("REGISTRY_PASSWORD_UNREADABLE", message, true);
  }
}
