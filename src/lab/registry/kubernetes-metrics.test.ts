import assert from "node:assert/strict";
import { test } from "node:test";
import { countsOf, sentBytesOf } from "./kubernetes-metrics.js";

const lines = [
  "# TYPE apiserver_request_total counter",
  'apiserver_request_total{code="200",resource="spindlereports",subresource="status",verb="PATCH"} 15',
  'apiserver_request_total{code="201",resource="spindlereports",subresource="",verb="POST"} 5',
  'apiserver_request_total{code="409",resource="spindlefleets",subresource="status",verb="PUT"} 4',
  'apiserver_request_total{code="200",resource="spindlefleets",subresource="status",verb="PUT"} 3',
  'apiserver_request_total{code="200",resource="configmaps",verb="PUT"} 2',
  'apiserver_request_total{code="200",resource="spindlenodes",verb="GET"} 900',
  'apiserver_request_total{code="200",resource="leases",verb="PATCH"} 70',
  'apiserver_request_total{code="201",resource="namespaces",verb="POST"} 6',
  'apiserver_watch_events_total{group="spindle.dev",kind="SpindleNode",version="v1alpha1"} 25',
  'apiserver_watch_events_total{group="",kind="Secret",version="v1"} 1000',
  'apiserver_watch_events_sizes_sum{group="spindle.dev",kind="SpindleReport",version="v1alpha1"} 30000',
  'apiserver_watch_events_sizes_sum{group="",kind="Secret",version="v1"} 99',
  'apiserver_watch_events_sizes_count{group="spindle.dev",kind="SpindleReport",version="v1alpha1"} 20',
  'apiserver_response_sizes_sum{component="apiserver",group="spindle.dev",resource="spindlereports",verb="LIST"} 1.5e+06',
  "process_cpu_seconds_total 12.5",
];

test("metrics of an API server: writes taken by class, renewals and our events", () => {
  assert.deepEqual(countsOf(lines.join("\n")), {
    writes: 25,
    writesByClass: { reports: 20, fleet: 3, roster: 2 },
    leaseRenewals: 70,
    watchEvents: 25,
  });
});

test("metrics of an API server: bytes of our objects, in watches and answers", () => {
  assert.equal(sentBytesOf(lines.join("\n")), 1_530_000);
});
