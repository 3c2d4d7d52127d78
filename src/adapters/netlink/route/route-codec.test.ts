/** Routes that were written are read back. What a kernel makes of them: the gateway and tunnel tests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ourRoute } from "../../../../test/support/netlink/arbitraries.js";
import { written } from "../../../../test/support/netlink/as-kernel.js";
import { readAttributes, readWord } from "../codec/received.js";
import { gatewayRoutes, routeAttribute, routeMessage, tunnelRoutes } from "./constants.js";
import { appendDeleteRoute, appendMatchRoute, appendReplaceRoute, readRoute } from "./route-codec.js";

for (const owner of [gatewayRoutes, tunnelRoutes]) {
  const { protocol, metric } = owner;
  test(`round trip: a route of protocol ${protocol}`, () => {
    fc.assert(
      fc.property(ourRoute, (route) => {
        const { type, payload } = written((batch) => appendReplaceRoute(batch, route, owner));
        assert.equal(type, routeMessage.newRoute);
        assert.deepEqual(readRoute(payload), { ...route, protocol });
        assert.equal(readWord(readAttributes(payload, 12).get(routeAttribute.metric)), metric);
      }),
    );
  });

  test(`round trip: a deletion of a route of protocol ${protocol} names it and its owner`, () => {
    fc.assert(
      fc.property(ourRoute, ({ destination }) => {
        const { type, payload } = written((batch) => appendDeleteRoute(batch, destination, owner));
        assert.equal(type, routeMessage.deleteRoute);
        assert.deepEqual(readRoute(payload), { destination, protocol, preferredSource: null, hops: [] });
      }),
    );
  });
}

test("round trip: a question for a route asks for its first address alone", () => {
  fc.assert(
    fc.property(ourRoute, ({ destination: { family, address } }) => {
      const { payload } = written((batch) => appendMatchRoute(batch, { family, address, length: 8 }));
      // The kernel takes a question for no kind of route: the reader takes only unicast ones.
      const read = readRoute(payload.with(7, 1));
      assert.deepEqual(read?.destination, { family, address, length: family === "ipv4" ? 32 : 128 });
    }),
  );
});
