/**
 * The messages of etcd's public API that Spindle uses, and no others. Field numbers are those of
 * etcd v3.4 (github.com/etcd-io/etcd, Apache-2.0: etcdserver/etcdserverpb/rpc.proto and
 * mvcc/mvccpb/kv.proto), which later versions keep. Keys and values are `bytes` there; ours are
 * ASCII and JSON, so they are read as text: the same bytes on the wire.
 */
import protobuf from "protobufjs";

const source = `
  syntax = "proto3";

  message Header { uint64 cluster_id = 1; int64 revision = 3; }
  message KeyValue {
    string key = 1; int64 create_revision = 2; int64 mod_revision = 3; int64 version = 4; string value = 5; int64 lease = 6;
  }

  message RangeRequest {
    string key = 1; string range_end = 2; int64 limit = 3; int64 revision = 4; int32 sort_order = 5; int32 sort_target = 6;
    bool keys_only = 8; bool count_only = 9;
  }
  message RangeResponse { Header header = 1; repeated KeyValue kvs = 2; bool more = 3; int64 count = 4; }
  message PutRequest { string key = 1; string value = 2; int64 lease = 3; }
  message DeleteRangeRequest { string key = 1; string range_end = 2; }
  message RequestOp {
    oneof request { RangeRequest range = 1; PutRequest put = 2; DeleteRangeRequest delete_range = 3; }
  }
  message ResponseOp { oneof response { RangeResponse range = 1; } }
  message Compare {
    int32 result = 1; int32 target = 2; string key = 3;
    oneof operand { int64 create_revision = 5; int64 mod_revision = 6; string value = 7; }
  }
  message TxnRequest { repeated Compare compare = 1; repeated RequestOp success = 2; repeated RequestOp failure = 3; }
  message TxnResponse { Header header = 1; bool succeeded = 2; repeated ResponseOp responses = 3; }

  message WatchCreate { string key = 1; string range_end = 2; int64 start_revision = 3; bool progress_notify = 4; }
  message WatchProgress {}
  message WatchRequest { oneof request { WatchCreate create = 1; WatchProgress progress = 3; } }
  message Event { int32 type = 1; KeyValue kv = 2; }
  message WatchResponse {
    Header header = 1; int64 watch_id = 2; bool created = 3; bool canceled = 4; int64 compact_revision = 5; string cancel_reason = 6;
    repeated Event events = 11;
  }

  message LeaseGrantRequest { int64 ttl = 1; int64 id = 2; }
  message LeaseRequest { int64 id = 1; }
  message LeaseResponse { Header header = 1; int64 id = 2; int64 ttl = 3; }
  message AuthenticateRequest { string name = 1; string password = 2; }
  message AuthenticateResponse { Header header = 1; string token = 2; }
`;

export interface Header {
  /** Rounded to what a number holds: good for telling clusters apart, and no more. */
  readonly clusterId: number;
  readonly revision: number;
}

export interface KeyValue {
  readonly key: string;
  readonly createRevision: number;
  readonly modRevision: number;
  /** Writes since it was created: 1 for a key that is new. */
  readonly version: number;
  readonly value: string;
  readonly lease: number;
}

export interface RangeRequest {
  readonly key: string;
  readonly rangeEnd?: string;
  readonly limit?: number;
  /** As of which revision; left out: the newest. */
  readonly revision?: number;
  readonly sortOrder?: number;
  readonly sortTarget?: number;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
}

export interface RangeResponse {
  readonly header: Header;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  /** Of all keys in the range, whatever the limit. */
  readonly count: number;
}

export type RequestOp =
  | { readonly range: RangeRequest }
  | { readonly put: { readonly key: string; readonly value: string; readonly lease?: number } }
  | { readonly deleteRange: { readonly key: string } };

export interface Compare {
  readonly result: number;
  readonly target: number;
  readonly key: string;
  readonly createRevision?: number;
  readonly modRevision?: number;
  readonly value?: string;
}

export interface TxnRequest {
  readonly compare?: readonly Compare[];
  readonly success?: readonly RequestOp[];
  readonly failure?: readonly RequestOp[];
}

export interface TxnResponse {
  readonly header: Header;
  readonly succeeded: boolean;
  readonly responses: readonly { readonly range?: RangeResponse }[];
}

export type WatchRequest =
  | {
      readonly create: {
        readonly key: string;
        readonly rangeEnd: string;
        readonly startRevision: number;
        readonly progressNotify: boolean;
      };
    }
  | { readonly progress: object };

export interface WatchedEvent {
  readonly type: number;
  readonly kv: KeyValue;
}

export interface WatchResponse {
  readonly header: Header;
  /** -1 for the answer to a progress request. */
  readonly watchId: number;
  readonly created: boolean;
  readonly canceled: boolean;
  /** Not 0: what the watch asked for is compacted. */
  readonly compactRevision: number;
  readonly cancelReason: string;
  readonly events: readonly WatchedEvent[];
}

export interface LeaseResponse {
  readonly id: number;
  /** Seconds; 0 for a lease that is gone. */
  readonly ttl: number;
}

/** Values of etcd's enumerations. */
export const compareResult = { equal: 0, greater: 1 } as const;
export const compareTarget = { create: 1, mod: 2, value: 3 } as const;
export const descending = 2;
export const byModRevision = 3;
export const eventDelete = 1;

/** One remote procedure: where it is, and how its messages travel. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly encode: (request: Request) => Buffer;
  readonly decode: (bytes: Buffer) => Response;
}

const types = protobuf.parse(source).root;
const asPlain: protobuf.IConversionOptions = { longs: Number, defaults: true, arrays: true };

function method<Request extends object, Response>(
  path: string,
  request: string,
  response: string,
): Method<Request, Response> {
  const asked = types.lookupType(request);
  const answered = types.lookupType(response);
  return {
    path: `/etcdserverpb.${path}`,
    encode: (message) => Buffer.from(asked.encode(asked.fromObject(message)).finish()),
    decode: (bytes) => answered.toObject(answered.decode(bytes), asPlain) as Response,
  };
}

export const rangeMethod = method<RangeRequest, RangeResponse>(
  "KV/Range",
  "RangeRequest",
  "RangeResponse",
);
export const txnMethod = method<TxnRequest, TxnResponse>("KV/Txn", "TxnRequest", "TxnResponse");
export const watchMethod = method<WatchRequest, WatchResponse>(
  "Watch/Watch",
  "WatchRequest",
  "WatchResponse",
);
export const grantMethod = method<{ readonly ttl: number; readonly id: number }, LeaseResponse>(
  "Lease/LeaseGrant",
  "LeaseGrantRequest",
  "LeaseResponse",
);
export const revokeMethod = method<{ readonly id: number }, object>(
  "Lease/LeaseRevoke",
  "LeaseRequest",
  "LeaseResponse",
);
export const keepAliveMethod = method<{ readonly id: number }, LeaseResponse>(
  "Lease/LeaseKeepAlive",
  "LeaseRequest",
  "LeaseResponse",
);
export const authenticateMethod = method<
  { readonly name: string; readonly password: string },
  { readonly token: string }
>("Auth/Authenticate", "AuthenticateRequest", "AuthenticateResponse");

/** The end of the range of all keys that start with `prefix`; our keys are ASCII. */
export function rangeEndOf(prefix: string): string {
  const last = prefix.length - 1;
  return prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1);
}
