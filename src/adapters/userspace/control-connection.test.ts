import assert from "node:assert/strict";
import { test } from "node:test";
import { ControlConnection } from "./control-connection.js";
import type { WireOperation } from "./control-protocol.js";
import { startNode } from "./fixture-node.js";
import { makeNode, saSpec } from "./fixtures.js";

const timeout = 20_000;

test(
  "connection: keys are zeroed once they were sent, and when they cannot be",
  { timeout },
  async (t) => {
    const { node, dataplane, socketPath } = await startNode(t, 1);
    const closing = new AbortController();
    t.after(() => closing.abort());
    const connection = await ControlConnection.open(socketPath, () => undefined, closing.signal);
    const { key, ...sa } = saSpec("in", 3, makeNode(2, "127.0.0.2", 4500), node);
    const request = { ...sa, mode: key.mode };
    const operations: WireOperation[] = [{ kind: "install-sa", sa: request, keyBytes: 20 }];
    const keys = Buffer.alloc(20, 7);
    assert.deepEqual((await connection.apply(operations, keys)).failed, []);
    assert.deepEqual(keys, Buffer.alloc(20));
    assert.deepEqual(dataplane.listSas()[0]?.key.reveal(), Buffer.alloc(20, 7));
    closing.abort();
    const late = Buffer.alloc(20, 8);
    const { code } = await connection.closed;
    assert.equal(code, "DATAPLANE_UNREACHABLE");
    await assert.rejects(connection.apply(operations, late), { code });
    assert.deepEqual(late, Buffer.alloc(20));
  },
);
