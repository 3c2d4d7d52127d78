/**
 * Numbers of the netlink and XFRM interface that Spindle uses (linux/netlink.h, linux/xfrm.h,
 * linux/in.h, linux/udp.h). Sizes are of 64-bit and 32-bit kernels alike: the structures hold no
 * pointers. All fields are in the host's byte order but SPIs, ports and addresses.
 */

/** struct nlmsghdr: length 4, type 2, flags 2, sequence 4, port id 4. */
export const headerBytes = 16;
export const messageAlignment = 4;

export const netlinkType = { noop: 1, error: 2, done: 3, overrun: 4 } as const;

export const netlinkFlag = {
  request: 0x1,
  acknowledge: 0x4,
  /** In a reply: the dumped tables changed while they were read. */
  dumpInterrupted: 0x10,
  dump: 0x300,
  /** In an error: only the header of the refused message is repeated. */
  capped: 0x100,
  /** In an error: attributes follow. */
  extended: 0x200,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
} as const;

/** enum nlmsgerr_attrs. */
export const errorAttribute = { message: 1, offset: 2 } as const;

/** XFRM_MSG_*. */
export const xfrmMessage = {
  newSa: 0x10,
  deleteSa: 0x11,
  getSa: 0x12,
  newPolicy: 0x13,
  deletePolicy: 0x14,
  getPolicy: 0x15,
  expire: 0x18,
  updatePolicy: 0x19,
  updateSa: 0x1a,
  policyExpire: 0x1b,
  flushSas: 0x1c,
  flushPolicies: 0x1d,
} as const;

/** enum xfrm_attr_type_t. */
export const xfrmAttribute = {
  encapsulation: 4,
  templates: 5,
  sa: 6,
  policy: 7,
  replay: 10,
  lastUsed: 15,
  aead: 18,
  mark: 21,
  replayEsn: 23,
  protocolFilter: 25,
  ifId: 31,
} as const;

/** XFRMNLGRP_*: numbers of multicast groups. */
export const xfrmGroup = { expire: 2, sa: 3, policy: 4 } as const;

export const addressFamilyNumber = { ipv4: 2, ipv6: 10 } as const;

/** IPPROTO_ESP. */
export const protocolEsp = 50;
export const protocolUdp = 17;

/** UDP_ENCAP_ESPINUDP. */
export const encapsulationEspInUdp = 2;

/** XFRM_STATE_ESN. */
export const saFlagEsn = 0x80;

export const modeNumber = { transport: 0, tunnel: 1 } as const;

/** XFRM_POLICY_*. */
export const directionNumber = { in: 0, out: 1, forward: 2 } as const;
export const actionNumber = { allow: 0, block: 1 } as const;

/** Sizes of the structures, in bytes. */
export const structBytes = {
  saInfo: 224,
  saId: 24,
  policyInfo: 168,
  policyId: 64,
  template: 64,
  selector: 56,
  lifetimeLimits: 64,
  encapsulation: 24,
  replayEsn: 24,
  replay: 12,
  aead: 72,
  saFlush: 1,
  saExpire: 232,
  policyExpire: 176,
} as const;

/** Bits of an integrity check value: all 16 bytes of the GCM tag (RFC 4106, 6). */
export const icvBits = 128;
export const aeadName = "rfc4106(gcm(aes))";
