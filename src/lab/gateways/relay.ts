/**
 * A way from a site's namespace to a registry on this machine's loopback, which belongs to no namespace but the first: a unix socket, which
 * every namespace sees, with a relay at either end. It carries bytes and knows nothing of them.
 */
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { pipeline } from "node:stream";

/** A path of a unix socket, or a port of this namespace's loopback. */
export type RelayEnd = { readonly path: string } | { readonly port: number };

export interface RelaySettings {
  readonly listen: RelayEnd;
  readonly target: RelayEnd;
}

export async function openRelay({ listen, target }: RelaySettings): Promise<Server> {
  const server = createServer((near) => {
    const far = connect(optionsOf(target));
    // Whichever end breaks takes the other along; programs connect again by themselves.
    pipeline(near, far, near, () => undefined);
  });
  server.listen(optionsOf(listen));
  await once(server, "listening");
  return server;
}

export async function runRelay(settings: RelaySettings, signal: AbortSignal): Promise<void> {
  await openRelay(settings);
  if (!signal.aborted) await once(signal, "abort");
  process.exit();
}

function optionsOf(end: RelayEnd): { path: string } | { port: number; host: string } {
  return "path" in end ? { path: end.path } : { port: end.port, host: "127.0.0.1" };
}
