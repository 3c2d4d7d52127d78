/** The far end of the lab's traffic, in the namespace of the client: sends back every ping, and counts the bytes of streams. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { isStream } from "./stream-bytes.js";

export interface EchoSettings {
  readonly addresses: readonly string[];
  readonly port: number;
}

/** Tells by a line on its output that it listens. */
export async function runEcho({ addresses, port }: EchoSettings, signal: AbortSignal): Promise<void> {
  const sockets = addresses.map((address) => {
    const socket = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
    socket.on("message", (packet, from) => socket.send(packet, from.port, from.address, () => undefined));
    socket.bind(port, address);
    return socket;
  });
  const server = createServer((connection) => {
    let received = 0;
    connection.on("data", (chunk) => {
      // A wrong byte ends the stream, which the other end counts as a failure.
      if (!isStream(chunk, received)) connection.destroy();
      received += chunk.length;
      connection.write(`${received}\n`);
    });
    connection.on("error", () => undefined);
  });
  server.listen(port, addresses[0]);
  await Promise.all([...sockets.map((socket) => once(socket, "listening")), once(server, "listening")]);
  process.stdout.write("listening\n");
  if (!signal.aborted) await once(signal, "abort");
  for (const socket of sockets) socket.close();
  server.close();
  process.exit();
}
