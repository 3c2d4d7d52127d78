/**
 * When to look at the routes of tunnels between two dumps: somebody took one of ours away, or the way to a peer may have become
 * another. At once the first time, then no more often than `limits.routeLooksMs`, however busy others are with their routes.
 */
import { limits } from "../../../core/limits.js";
import { routeChannel, type RouteNotification } from "../route/notification.js";
import type { Libc } from "../socket/libc.js";
import { listen, type Lost, type NotificationSocket } from "../socket/notification-socket.js";
import type { TunnelRoutes } from "./tunnel-routes.js";

export class RouteWatch {
  readonly #socket: NotificationSocket<RouteNotification>;
  readonly #look: () => void;
  #timer: NodeJS.Timeout | null = null;
  #lookedMs = -Infinity;

  /** Listens in the network namespace that the thread is in. @throws PortError */
  constructor(libc: Libc, routes: TunnelRoutes, look: () => void) {
    this.#look = look;
    const concerns = (heard: RouteNotification | Lost): boolean => heard.kind === "lost" || routes.mayConcern(heard);
    this.#socket = listen(libc, routeChannel, (heard, portId) => {
      if (portId !== routes.portId && concerns(heard)) this.#lookSoon();
    });
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#socket.close();
  }

  /** Many changes come at once: they are one reason to look. */
  #lookSoon(): void {
    if (this.#timer !== null) return;
    const waitMs = Math.max(0, this.#lookedMs + limits.routeLooksMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#lookedMs = performance.now();
      this.#look();
    }, waitMs).unref();
  }
}
