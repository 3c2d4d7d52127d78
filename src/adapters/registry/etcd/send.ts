/** One message to one member, with a deadline, and the way to call it off. */
import { Metadata, status, type Client } from "@grpc/grpc-js";
import type { Method } from "./api.js";

export interface Sent<A> {
  /** Rejects with a gRPC `ServiceError`. */
  readonly answer: Promise<A>;
  readonly cancel: () => void;
}

export type Sender = <Q, A>(
  client: Client,
  method: Method<Q, A>,
  request: Q,
  metadata: Metadata,
  withinMs: number,
) => Sent<A>;

/** `hasleader`: a member that is cut off from the others refuses instead of answering from its own. */
export function metadataWith(token: string | null): Metadata {
  const metadata = new Metadata();
  metadata.set("hasleader", "true");
  if (token !== null) metadata.set("token", token);
  return metadata;
}

export const sendUnary: Sender = (client, { path, encode, decode }, request, metadata, withinMs) => {
  let cancel = (): void => undefined;
  const answer = new Promise<Awaited<ReturnType<typeof decode>>>((resolve, reject) => {
    const options = { deadline: Date.now() + withinMs };
    const call = client.makeUnaryRequest(
      path,
      encode,
      decode,
      request,
      metadata,
      options,
      (error, value) => {
        if (error !== null) reject(error);
        else if (value !== undefined) resolve(value as Awaited<typeof value>);
      },
    );
    cancel = () => call.cancel();
  });
  return { answer, cancel };
};

/** For a method that etcd has as a stream: one message, and the first answer to it. */
export const sendOnStream: Sender = (client, method, request, metadata, withinMs) => {
  let cancel = (): void => undefined;
  const { path, encode, decode } = method;
  const answer = new Promise<Awaited<ReturnType<typeof decode>>>((resolve, reject) => {
    const options = { deadline: Date.now() + withinMs };
    const stream = client.makeBidiStreamRequest(path, encode, decode, metadata, options);
    stream.on("data", (value: Awaited<ReturnType<typeof decode>>) => {
      resolve(value);
      stream.end();
    });
    stream.on("error", reject);
    stream.on("end", () => reject(Object.assign(new Error(ended), { code: status.UNAVAILABLE, details: ended })));
    stream.write(request);
    cancel = () => stream.cancel();
  });
  return { answer, cancel };
};

const ended = "the stream ended without an answer";
