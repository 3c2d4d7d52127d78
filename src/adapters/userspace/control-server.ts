/**
 * The dataplane's control socket: a unix socket of mode 0600 in a directory of mode 0700. Who can
 * open it can install keys, so the file system is the access control, and an unsafe directory is
 * refused. Several clients may be connected: a restarted agent comes while its old connection
 * lingers. Each learns when another one changed something.
 */
import { once } from "node:events";
import { chmod, lstat, mkdir, unlink } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { limits } from "../../core/limits.js";
import { PortError } from "../port-error.js";
import { ControlSession } from "./control-session.js";
import type { Dataplane } from "./dataplane.js";

export class ControlServer {
  readonly #server: Server;
  readonly #dataplane: Dataplane;
  readonly #sessions = new Set<ControlSession>();
  /** Sessions to tell of changes at the end of this turn of the event loop. */
  readonly #stale = new Set<ControlSession>();

  private constructor(server: Server, dataplane: Dataplane) {
    this.#server = server;
    this.#dataplane = dataplane;
    server.maxConnections = limits.controlClientsMax;
    server.on("connection", (socket) => this.#accept(socket));
  }

  /**
   * Listens at `socketPath`; makes its directory when there is none, and takes over the socket of a
   * dead process.
   * @throws PortError `CONTROL_DIRECTORY_UNSAFE`, `CONTROL_SOCKET_IN_USE`, `CONTROL_LISTEN_FAILED`
   */
  static async listen(dataplane: Dataplane, socketPath: string): Promise<ControlServer> {
    const server = createServer();
    try {
      await prepareDirectory(dirname(socketPath));
      await removeStaleSocket(socketPath);
      server.listen(socketPath);
      await once(server, "listening");
      await chmod(socketPath, 0o600);
    } catch (cause) {
      server.close();
      if (cause instanceof PortError) throw cause;
      const message = `cannot listen on ${socketPath}: ${String(cause)}`;
      throw new PortError("CONTROL_LISTEN_FAILED", message, true, { cause });
    }
    return new ControlServer(server, dataplane);
  }

  /** Ends all connections and removes the socket. */
  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const session of this.#sessions) session.end();
    await closed;
  }

  #accept(socket: Socket): void {
    const session: ControlSession = new ControlSession(socket, this.#dataplane, () =>
      this.#tellOthers(session),
    );
    this.#sessions.add(session);
    socket.on("close", () => {
      this.#sessions.delete(session);
      this.#stale.delete(session);
    });
  }

  #tellOthers(author: ControlSession): void {
    if (this.#stale.size === 0) setImmediate(() => this.#flush());
    for (const session of this.#sessions) {
      if (session !== author) this.#stale.add(session);
    }
  }

  #flush(): void {
    for (const session of this.#stale) session.tellChanged();
    this.#stale.clear();
  }
}

async function prepareDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  const isOurs = process.getuid === undefined || found.uid === process.getuid();
  if (found.isDirectory() && isOurs && (found.mode & 0o077) === 0) return;
  const message = `${directory} must be a directory of this user with mode 0700`;
  throw new PortError("CONTROL_DIRECTORY_UNSAFE", message, false);
}

/** Removes a socket that nobody answers on. */
async function removeStaleSocket(socketPath: string): Promise<void> {
  const probe = connect(socketPath);
  try {
    await once(probe, "connect");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ECONNREFUSED") await unlink(socketPath);
    if (code === "ECONNREFUSED" || code === "ENOENT") return;
    throw cause;
  } finally {
    probe.destroy();
  }
  throw new PortError("CONTROL_SOCKET_IN_USE", `another dataplane answers on ${socketPath}`, false);
}
