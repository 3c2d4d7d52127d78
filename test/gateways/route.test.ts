/** Routes and devices on this machine's own kernel, in a network namespace that goes with the test. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { NetlinkDescriptor, netlinkProtocol } from "../../src/adapters/netlink/socket/descriptor.js";
import { loadLibc } from "../../src/adapters/netlink/socket/libc.js";
import { RequestSocket } from "../../src/adapters/netlink/socket/request-socket.js";
import { ourRouteProtocol } from "../../src/adapters/netlink/route/constants.js";
import type { Family } from "../../src/adapters/netlink/codec/model.js";
import type { Hop, Prefix } from "../../src/adapters/netlink/route/model.js";
import { RouteTable } from "../../src/adapters/netlink/route/route-table.js";
import { gatewaysMissing } from "../support/gateways.js";
import { ip, ipBatch, makeNamespace, type Namespace } from "../support/netlink/namespace.js";

const skip = gatewaysMissing(["iproute2"]);
const networks: readonly Prefix[] = [
  { family: "ipv4", address: "10.20.0.0", length: 16 },
  { family: "ipv6", address: "fd00:20::", length: 48 },
];
let namespace: Namespace;
let table: RouteTable;
let one: number;
let two: number;

before(async () => {
  if (skip !== false) return;
  namespace = makeNamespace(`spindle-route-${process.pid}`);
  ipBatch(
    [
      "link set lo up",
      "link add one type veth peer name two",
      "addr add 192.0.2.1/24 dev lo",
      "link set one up",
      "link set two up",
      "addr add fd00:a::1/64 dev one nodad",
      "addr add fd00:b::1/64 dev two nodad",
      "tuntap add dev tunnel mode tun",
      "addr add 169.254.9.0 peer 169.254.9.1 dev tunnel",
    ],
    namespace,
  );
  const libc = await loadLibc();
  table = new RouteTable(
    namespace.within(() => new RequestSocket(new NetlinkDescriptor(libc, netlinkProtocol.route))),
  );
  one = (await table.device("one"))!.index;
  two = (await table.device("two"))!.index;
});

after(() => {
  if (skip !== false) return;
  table.close();
  namespace.close();
});

const hop = (interfaceIndex: number): Hop => ({ interfaceIndex, gateway: null });

/** Linux takes a route of several hops without gateways for IPv4 only. */
function hopsOf(family: Family): readonly [Hop, Hop] {
  if (family === "ipv4") return [hop(one), hop(two)];
  return [
    { interfaceIndex: one, gateway: "fd00:a::2" },
    { interfaceIndex: two, gateway: "fd00:b::2" },
  ];
}

for (const destination of networks) {
  const { family } = destination;
  test(`route: ${family} is made, replaced by two hops and by one again, and read back`, { skip }, async () => {
    assert.equal(await table.match(destination), null);
    const [first, second] = hopsOf(family);
    for (const hops of [[first], [first, second], [second]]) {
      await table.replace({ destination, preferredSource: null, hops });
      // A second time changes nothing and is no error ("File exists" of the field).
      await table.replace({ destination, preferredSource: null, hops });
      const found = await table.match(destination);
      assert.deepEqual({ ...found, hops: new Set(found?.hops) }, {
        destination,
        protocol: ourRouteProtocol,
        preferredSource: null,
        // IPv6 lists them in an order of its own.
        hops: new Set(hops),
      });
    }
    await table.remove(destination);
    await table.remove(destination);
    assert.equal(await table.match(destination), null);
  });

  test(`route: ${family} of somebody else is seen as such, and not removed`, { skip }, async () => {
    const prefix = `${destination.address}/${destination.length}`;
    ip("-n", namespace.name, "route", "add", prefix, "dev", "one", "proto", "static");
    await table.remove(destination);
    assert.notEqual((await table.match(destination))?.protocol, ourRouteProtocol);
    assert.deepEqual((await table.match(destination))?.hops, [hop(one)]);
    ip("-n", namespace.name, "route", "delete", prefix);
  });
}

test("route: a preferred source is kept, and a wider route is told apart by its length", { skip }, async () => {
  const destination = networks[0]!;
  await table.replace({ destination, preferredSource: "192.0.2.1", hops: [hop(one)] });
  assert.equal((await table.match(destination))?.preferredSource, "192.0.2.1");
  const inner: Prefix = { family: "ipv4", address: "10.20.30.0", length: 24 };
  assert.equal((await table.match(inner))?.destination.length, 16);
  await table.remove(destination);
});

test("route: what the kernel refuses is an error with its own words", { skip }, async () => {
  const route = { destination: networks[0]!, preferredSource: null, hops: [hop(999_999)] };
  await assert.rejects(table.replace(route), { code: "ROUTE_REFUSED" });
});

test("device: its addresses of both ends, its MTU, and gone after it was removed", { skip }, async () => {
  const device = (await table.device("tunnel"))!;
  assert.equal(device.mtu, 1500);
  assert.equal(device.isUp, false);
  assert.ok((await table.devices()).some(({ name }) => name === "tunnel"));
  const [address] = (await table.addresses()).filter(({ interfaceIndex }) => interfaceIndex === device.index);
  assert.deepEqual(address, { interfaceIndex: device.index, family: "ipv4", local: "169.254.9.0", peer: "169.254.9.1" });
  await table.removeDevice(device.index);
  await table.removeDevice(device.index);
  assert.equal(await table.device("tunnel"), null);
});
