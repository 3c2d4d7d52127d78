/** The codec against `ip xfrm`: each reads what the other installed. */
import assert from "node:assert/strict";
import type { XfrmPolicy, XfrmSa } from "../../../src/adapters/netlink/codec/model.js";
import { appendPolicy } from "../../../src/adapters/netlink/codec/policy.js";
import { appendSa } from "../../../src/adapters/netlink/codec/sa.js";
import { openRequestSocket } from "../../../src/adapters/netlink/socket/request-socket.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import { ip } from "../../support/netlink/namespace.js";
import {
  dumpPolicies,
  dumpSas,
  hostSelector,
  keyOf,
  natPorts,
  protectingPolicy,
  saOf,
} from "../../support/netlink/samples.js";

interface SaSample {
  readonly sa: XfrmSa;
  readonly keyBytes: number;
  /** What `ip xfrm state` prints, without the counters of lifetimes. */
  readonly shown: string;
}

const key20 = "0x0102030405060708090a0b0c0d0e0f1011121314";
const key36 = `${key20}15161718191a1b1c1d1e1f2021222324`;

const saSamples: readonly SaSample[] = [
  {
    sa: saOf("ipv4", "transport"),
    keyBytes: 20,
    shown: `src 192.0.2.1 dst 192.0.2.2
	proto esp spi 0x03000011 reqid 1397751809 mode transport
	replay-window 0 flag esn
	aead rfc4106(gcm(aes)) ${key20} 128
	anti-replay esn context:
	 seq-hi 0x0, seq 0x0, oseq-hi 0x0, oseq 0x0
	 replay_window 1024, bitmap-length 32
BITMAP
	sel src 0.0.0.0/0 dst 0.0.0.0/0`,
  },
  {
    sa: saOf("ipv4", "tunnel", { encapsulation: natPorts, spi: 0x0300_0021, ifId: 7 }),
    keyBytes: 36,
    shown: `src 192.0.2.1 dst 192.0.2.2
	proto esp spi 0x03000021 reqid 1397751809 mode tunnel
	replay-window 0 flag esn
	aead rfc4106(gcm(aes)) ${key36} 128
	encap type espinudp sport 4500 dport 4500 addr 0.0.0.0
	anti-replay esn context:
	 seq-hi 0x0, seq 0x0, oseq-hi 0x0, oseq 0x0
	 replay_window 1024, bitmap-length 32
BITMAP
	if_id 0x7
	sel src 0.0.0.0/0 dst 0.0.0.0/0`,
  },
  {
    sa: saOf("ipv6", "transport", { replayWindow: 32, esn: false }),
    keyBytes: 36,
    shown: `src 2001:db8::1 dst 2001:db8::2
	proto esp spi 0x03000011 reqid 1397751809 mode transport
	replay-window 32
	aead rfc4106(gcm(aes)) ${key36} 128
	anti-replay context: seq 0x0, oseq 0x0, bitmap 0x00000000
	sel src ::/0 dst ::/0`,
  },
  {
    sa: saOf("ipv6", "tunnel", { spi: 0x0300_0021, replayWindow: 4_096 }),
    keyBytes: 20,
    shown: `src 2001:db8::1 dst 2001:db8::2
	proto esp spi 0x03000021 reqid 1397751809 mode tunnel
	replay-window 0 flag esn
	aead rfc4106(gcm(aes)) ${key20} 128
	anti-replay esn context:
	 seq-hi 0x0, seq 0x0, oseq-hi 0x0, oseq 0x0
	 replay_window 4096, bitmap-length 128
BITMAP
	sel src ::/0 dst ::/0`,
  },
];

const pinned = protectingPolicy(
  "out",
  saOf("ipv4", "transport"),
  hostSelector("ipv4", "192.0.2.1", "192.0.2.2"),
);

const policySamples: readonly { readonly policy: XfrmPolicy; readonly shown: string }[] = [
  {
    policy: pinned,
    shown: `src 192.0.2.1/32 dst 192.0.2.2/32
	dir out priority 1000
	tmpl src 192.0.2.1 dst 192.0.2.2
		proto esp spi 0x03000011 reqid 1397751809 mode transport`,
  },
  {
    policy: {
      ...protectingPolicy("in", saOf("ipv6", "tunnel"), {
        ...hostSelector("ipv6", "2001:db8:1::", "2001:db8:2::"),
        source: { address: "2001:db8:1::", length: 48 },
      }),
      ifId: 9,
    },
    shown: `src 2001:db8:1::/48 dst 2001:db8:2::/128
	dir in priority 1000
	tmpl src 2001:db8::1 dst 2001:db8::2
		proto esp reqid 1397751809 mode tunnel
	if_id 0x9`,
  },
  {
    policy: {
      ...pinned,
      direction: "forward",
      templates: [{ ...pinned.templates[0]!, spi: null, optional: true }],
    },
    shown: `src 192.0.2.1/32 dst 192.0.2.2/32
	dir fwd priority 1000
	tmpl src 192.0.2.1 dst 192.0.2.2
		proto esp reqid 1397751809 mode transport
		level use`,
  },
  {
    policy: {
      ...pinned,
      selector: {
        ...hostSelector("ipv4", "0.0.0.0", "192.0.2.9"),
        source: { address: "0.0.0.0", length: 0 },
        protocol: 6,
        destinationPort: 2_379,
      },
      verdict: "block",
      priority: 0x5350_0000,
      templates: [],
    },
    shown: `src 0.0.0.0/0 dst 192.0.2.9/32 proto tcp dport 2379
	dir out action block priority 1397751808`,
  },
];

/** Without trailing spaces and what only some versions print, and with a zero bitmap of any length as one word. */
function shownLines(text: string): string {
  return text
    .replaceAll(/(\n\t (?:00000000 ?)+)+/g, "\nBITMAP")
    .replaceAll(" ptype main", "")
    .replaceAll(/[ \t]+$/gm, "")
    .trim();
}

async function saIsShown({ sa, keyBytes, shown }: SaSample): Promise<void> {
  ip("xfrm", "state", "flush");
  const socket = await openRequestSocket();
  const refused = await socket.send([sa], (batch, one) => appendSa(batch, "add", one, keyOf(keyBytes)));
  assert.deepEqual(refused, []);
  assert.equal(shownLines(ip("xfrm", "state")), shown);
  const [listed] = await dumpSas(socket);
  assert.deepEqual(Buffer.from(listed!.aead!.key), Buffer.from(keyOf(keyBytes)));
  const { source, destination, spi, mode, reqid, ifId, replayWindow, esn } = listed!;
  const { encapsulation, ...written } = sa;
  const { family } = listed!;
  assert.deepEqual(
    { family, source, destination, spi, mode, reqid, ifId, replayWindow, esn },
    written,
  );
  assert.deepEqual(listed!.encapsulation, encapsulation && { type: 2, ...encapsulation });
  socket.close();
}

async function policyIsShown({ policy, shown }: (typeof policySamples)[number]): Promise<void> {
  ip("xfrm", "policy", "flush");
  const socket = await openRequestSocket();
  const refused = await socket.send([policy], (batch, one) => appendPolicy(batch, "set", one));
  assert.deepEqual(refused, []);
  assert.equal(shownLines(ip("xfrm", "policy")), shown);
  const [{ index, hasMark, templates, ...listed } = assert.fail("no policy")] =
    await dumpPolicies(socket);
  assert.ok(index > 0 && !hasMark);
  const read = templates.map(({ protocol: _, ...template }) => template);
  assert.deepEqual({ ...listed, templates: read }, policy);
  socket.close();
}

/** Other people's ciphers, modes and marks are read without taking them for ours. */
async function foreignIsRead(): Promise<void> {
  ip("xfrm", "state", "flush");
  ip("xfrm", "policy", "flush");
  const ends = ["src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp"];
  const cbc = ["auth-trunc", "hmac(sha256)", `0x${"11".repeat(32)}`, "128", "enc", "cbc(aes)", `0x${"22".repeat(16)}`];
  ip("xfrm", "state", "add", ...ends, "spi", "0xc0000001", "reqid", "1", "mode", "tunnel", "mark", "5", "mask", "0xff", ...cbc);
  const gcm = ["aead", "rfc4106(gcm(aes))", key20, "96"];
  ip("xfrm", "state", "add", ...ends, "spi", "0x100", "mode", "beet", "replay-oseq", "7", "replay-seq", "5", "replay-window", "32", ...gcm);
  ip("xfrm", "policy", "add", "src", "10.0.0.0/8", "dst", "0.0.0.0/0", "dir", "fwd", "mark", "1");
  const socket = await openRequestSocket();
  const sas = (await dumpSas(socket)).sort((one, other) => one.spi - other.spi);
  assert.deepEqual(
    sas.map(({ spi, reqid, mode, hasMark }) => ({ spi, reqid, mode, hasMark })),
    [
      { spi: 0x100, reqid: 0, mode: null, hasMark: false },
      { spi: 0xc000_0001, reqid: 1, mode: "tunnel", hasMark: true },
    ],
  );
  const [beet, marked] = sas;
  assert.deepEqual([beet?.aead?.icvBits, beet?.sentSequence, beet?.receivedSequence], [96, 7, 5]);
  assert.equal(marked?.aead, null);
  const [policy] = await dumpPolicies(socket);
  assert.deepEqual(
    [policy?.direction, policy?.selector.source, policy?.hasMark, policy?.templates],
    ["forward", { address: "10.0.0.0", length: 8 }, true, []],
  );
  socket.close();
}

export const codecCases: readonly KernelCase[] = [
  ...saSamples.map((sample) => ({
    name: `ip xfrm state shows the ${sample.sa.family} ${sample.sa.mode} SA that the codec wrote, and the dump gives it back`,
    run: () => saIsShown(sample),
  })),
  ...policySamples.map((sample) => ({
    name: `ip xfrm policy shows the ${sample.policy.direction} ${sample.policy.verdict} policy of ${sample.policy.selector.family} that the codec wrote`,
    run: () => policyIsShown(sample),
  })),
  { name: "what ip xfrm installed for others is read and not mistaken for ours", run: foreignIsRead },
];
