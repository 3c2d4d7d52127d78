/**
 * Every bound of Spindle in one place, with the relations between them asserted at load.
 * Durations are milliseconds, sizes are bytes unless the name says otherwise.
 */
import { assert } from "./assert.js";

export const limits = {
  /** 20 bits of the SPI. */
  nodeIndexMax: 0xf_ffff,
  /** 4 bits of the SPI. */
  incarnationNumberMax: 15,
  /** Real full mesh is claimed up to here. */
  peersMax: 10_000,
  nodeNameLengthMax: 253,
  keyFileBytesMax: 16_384,
  keyFileLinesMax: 64,
  checkpointBytesMax: 64 * 1024 * 1024,
  recordBytesMax: 1024 * 1024,
  /** Peers whose operations travel in one plan: keeps a turn short (libraries.md, netlink). */
  peersPerPlanMax: 128,
  retryMsMin: 250,
  retryMsMax: 30_000,
  resyncMs: 60_000,
  drainMsMin: 100,
  drainMsDefault: 3_000,
  /** A Linux host keeps an encrypted packet this long for a neighbour that does not answer (mcast_solicit 3, retrans_time 1 s). */
  neighbourWaitMsMax: 3_000,
  rotationDurationMsDefault: 300_000,
  stageDeadlineMsDefault: 600_000,
  retireDeadlineMsDefault: 600_000,
  /** A compromised key is out this long after an agent first saw the order. */
  emergencyDeadlineMsDefault: 30_000,
  silentMsDefault: 30_000,
  leaseMsDefault: 10_000,
  /** On Kubernetes a renewal is a write to the API server: 125 a second for 1,000 nodes, at a third of this. */
  kubernetesLeaseMsDefault: 24_000,
  reportIntervalMsDefault: 1_000,
  /** Jitter is off below this many nodes. */
  jitterMinNodesDefault: 50,
  /** Share of the counted nodes that may be excluded as silent; at least one node. */
  excludeShareMaxDefault: 0.1,
  /** A listing that would delete more than this share of the known nodes is held. */
  massDeletionShareDefault: 0.5,
  readyShareDefault: 0.95,
  rotationHistoryMax: 100,
  /** Keys remembered per peer as sent with; a rotation a week fills it in a year. */
  sentKeysMax: 64,
  /** Refused keys remembered; older ones are half a ring behind. */
  refusedKeysMax: 16,
  /** Least time between two decisions of a controller, and for each node of a large fleet, which takes some 2 us of a step. */
  controllerSpacingMs: 10,
  controllerSpacingMsPerNode: 0.02,
  /** Pairwise, after a turn the next report of a peer waits so long for others, for each node: a tenth of a second for 1,000. */
  reportTurnMsPerNode: 0.1,
  /** The controller looks at leases and deadlines this often when nothing changes. */
  controllerTickMs: 1_000,
  /** Pre-flight, before anything was measured: peers whose SAs one agent installs and reads back per second. */
  stagedPeersPerSecond: 2_000,
  stagingOverheadMs: 100,
  /** Pre-flight: one barrier is a report from everyone, a write, and an event to everyone. */
  barrierRoundMs: 150,
  /** `/proc/net/xfrm_stat`: Linux 6.1 has 28 counters of some 35 characters, 6.14 has 32. Each is a series of a metric. */
  xfrmStatBytesMax: 4_096,
  xfrmCountersMax: 64,
  /** An SA that has used this share of its sequence numbers is warned of: what is left must last until a rotation has ended. */
  sequenceShareWarned: 0.75,
  /** At the status server of one program. */
  httpConnectionsMax: 64,
  /** The status server reads its certificate again this often. */
  httpCertificateReadMs: 60_000,
  configBytesMax: 256 * 1024,
  /** Longest duration that a configuration file may ask for: 7 days. */
  configDurationMsMax: 7 * 24 * 3_600_000,
  /** How often the key file is read besides what the watch tells. */
  keyFilePollMsDefault: 5_000,
  /** A change of the key file is read this long after the watch told of it: a writer may not be done. */
  keyFileSettleMs: 50,
  /** Copies of one corrupt document that are kept in the state directory. */
  stateCorruptCopiesMax: 8,
  /** Attempts to lock the state directory, with a random wait between them. */
  stateLockAttemptsMax: 5,
  stateLockWaitMsMin: 20,
  stateLockWaitMsMax: 120,
  /** How long a new key file takes to reach every node; a mounted Kubernetes Secret takes up to a minute. */
  keyDistributionMsDefault: 5_000,
  /** The process that writes a key for a controller: two requests, and its answer. */
  keyWriteMsMax: 30_000,
  keyWriteAnswerMax: 4_096,
  /** `rotation.every`: most that may be asked for. */
  rotationEveryMsMax: 366 * 24 * 3_600_000,
  /** A node that is not covered for its share counts as ready after this long (design 4.3). */
  readyTimeoutMsDefault: 60_000,
  /** Anti-replay window of an inbound SA, in packets (design 4.1; RFC 4303, 3.4.3 asks for at least 32). */
  replayWindowMin: 32,
  replayWindowDefault: 1_024,
  replayWindowMax: 4_096,
  /** SAs of one userspace dataplane: both directions of `peersMax` peers, three keys, and room for replacements. */
  dataplaneSasMax: 80_000,
  dataplanePoliciesMax: 40_000,
  /** Largest UDP payload over IPv4 (65,507) less the most ESP adds: header 8, IV 8, padding 3, trailer 2, ICV 16. */
  espPayloadBytesMax: 65_470,
  /** Control protocol between agent and userspace dataplane. */
  controlFrameBytesMax: 1024 * 1024,
  controlEntriesPerFrameMax: 256,
  /** Answers that a client has not read; beyond it is disconnected. */
  controlUnreadBytesMax: 4 * 1024 * 1024,
  controlClientsMax: 16,
  controlListingsMax: 16,
  controlRequestMsMax: 10_000,
  controlReconnectMsMin: 50,
  controlReconnectMsMax: 1_000,
  /** Messages in one send to the kernel: 64 to 128 hold the event loop for a millisecond or so. */
  netlinkBatchMessagesMax: 96,
  /** One receive call; the kernel fills at most 32 KiB of it with a dump. */
  netlinkReceiveBytes: 128 * 1024,
  /** Socket buffers: a flush of the SAs of 10,000 peers is 40 MB of notifications. */
  netlinkBufferBytes: 64 * 1024 * 1024,
  /** An answer is queued before the request's send returns, so that this passes only when it was lost. */
  netlinkAnswerMsMax: 1_000,
  /** Reading a dump or notifications stops for other work after this long. */
  netlinkTurnMsMax: 4,
  /** Between two looks at the routes of tunnels that notifications ask for. */
  routeLooksMs: 1_000,
  /** Readings of one table that the kernel reports as interrupted by a change. */
  netlinkDumpAttemptsMax: 8,
  /** Sends of one batch when the kernel is short of memory. */
  netlinkSendAttemptsMax: 5,
  netlinkSendRetryMs: 20,
  /** Networks of one node. A pair of nodes has three policies for each pair of networks. */
  nodeCidrsMax: 8,
  /** Of the agent's configuration: each CIDR is three policies, each port eight. */
  policyCidrsMax: 256,
  policyBypassPortsMax: 64,
  /** Peers that are not switched without a proof of their path: all up to here, then half as many to as many of them, in the mean. */
  probedPeersMax: 64,
  /** Of one request to the dataplane; a peer with two address families has two. */
  probesPerEffectMax: 128,
  /** Outcomes kept per peer: two address families, and the keys of one rotation and of the one before. */
  proofsPerPeerMax: 8,
  /** UDP, at the nodes' own addresses, within ESP. */
  probePortDefault: 11_192,
  probeAnswersPerSecond: 500,
  probeListenRetryMs: 5_000,
  /** How long the answer to a probe is waited for, and from a failed probe to the next one. */
  probeMsMax: 1_000,
  probeRetryMs: 3_000,
  /** `spindle doctor --peer`: size of its packet, and how long it waits for somebody to refuse it. */
  doctorProbeBytesMax: 9_000,
  doctorProbeMs: 300,
  /** `spindle doctor`: for another program that lists something, and for what it prints. */
  doctorProgramMsMax: 5_000,
  doctorRulesetBytesMax: 64 * 1_024 * 1_024,
  /** `spindle cleanup` looks again after this long whether an agent put everything back. */
  cleanupWatchMs: 500,
  registryKeyLengthMax: 512,
  registryOperationsMax: 64,
  /** A request, answer or event on the wire: JSON makes at most six bytes of one; the rest is for the keys. */
  registryFrameBytesMax: 6 * 1024 * 1024 + 128 * 1024,
  /** A listing travels in parts of about this size. */
  registryPartBytes: 256 * 1024,
  /** Listings that the embedded registry sends at the same time; more wait their turn. */
  registryListingsMax: 32,
  registryConnectionsMax: 20_000,
  registryLeasesMax: 100_000,
  registryPendingRequestsMax: 1_024,
  /** Unsent bytes of a connection beyond which its watches lose events and are told to list again. */
  registryBacklogBytesMax: 8 * 1024 * 1024,
  /** A connection that takes none of its backlog for this long is closed. */
  registryStallMsMax: 30_000,
  /** What a watch can resume from; older is a new listing. */
  registryHistoryRevisionsMax: 16_384,
  registryHistoryBytesMax: 64 * 1024 * 1024,
  registryRequestMsMax: 10_000,
  registryListingMsMax: 60_000,
  /** One attempt at one etcd member; then the next member is asked. */
  etcdAttemptMsMax: 5_000,
  /** Items of one page of a listing from etcd. */
  etcdPageItemsMax: 200,
  /** A message from etcd: the largest page and its keys. */
  etcdMessageBytesMax: 256 * 1024 * 1024,
  /** etcd notifies a quiet watch of its progress every 10 to 11 minutes; two may be lost. */
  etcdWatchSilenceMsMax: 35 * 60_000,
  registryPingMs: 5_000,
  registryReconnectMsMin: 50,
  registryReconnectMsMax: 2_000,
  /** A watch that lasted this long was a good one; after others the next listing waits, ever longer up to this. */
  registryLastingMs: 60_000,
  registryRelistMsMax: 60_000,
  /** A registry that was rolled back and is being restored is looked at again this often. */
  registryLookAgainMs: 3_000,
  /** A restored registry gives no index out that another may have given out since the backup was made. */
  restoreIndicesSkipped: 65_536,
  /** Nor a revision. etcd counts one for each write, and nothing else raises it. */
  restoreRevisionsSkipped: 1_000_000,
  etcdRestoreRevisionsSkipped: 10_000,
  backupBytesMax: 256 * 1024 * 1024,
  /** Waits between attempts of a roster write that met another one. */
  registryConflictMsMin: 4,
  registryConflictMsMax: 256,
  registryConflictAttemptsMax: 200,
  /** Kubernetes lists travel in pages of this many objects. */
  kubernetesPageItems: 500,
  kubernetesAnswerBytesMax: 64 * 1024 * 1024,
  /** One event of a watch: etcd holds objects of 1.5 MB, and JSON of the whole is a little more. */
  kubernetesLineBytesMax: 4 * 1024 * 1024,
  /** The server ends a watch after a random time in between, so that not all come back at once. */
  kubernetesWatchSecondsMin: 240,
  kubernetesWatchSecondsMax: 480,
  /** Least time between two starts of one watch. */
  kubernetesWatchSpacingMs: 500,
  /** A watch that says nothing for this long is taken for dead: the server sends a bookmark every minute. */
  kubernetesIdleMsMax: 95_000,
  /** Tokens in files are read again after this long. */
  kubernetesTokenReadMs: 60_000,
  /** A client certificate and key that cannot be used, as in the middle of a renewal, are read again after this long. */
  kubernetesPairRetryMs: 1_000,
  /** How long a registration or removal waits for the leader. */
  kubernetesAdmissionMsMax: 30_000,
  /** Admissions and removals that one write of the ledger announces. */
  rosterIntentsMax: 16,
  /** Released indices that the ledger remembers; what is beyond it is found again when it is needed. */
  rosterReleasedMax: 1_024,
  /** Size of a recording's file at which recording ends (`--record`). */
  recordingBytesMax: 256 * 1024 * 1024,
  /** Lines that the disk has not taken; beyond it recording ends. */
  recordingWaitingBytesMax: 32 * 1024 * 1024,
  /** A DNS label; a file, a device and a certificate are named after it. */
  gatewayNameLengthMax: 63,
  gatewayPairsMax: 16,
  /** Most that is read of a CSR or certificate of a gateway. */
  gatewayPemBytesMax: 8_192,
  /** How often a site observes a link, with a generation on its way and without. */
  gatewayObserveMs: 1_000,
  gatewayObserveIdleMs: 10_000,
  /** A site tells this often that it is there, also when nothing is new; one that was not heard for so long is silent. */
  gatewayReportIdleMs: 30_000,
  gatewaySilentMs: 90_000,
  /** An observation older than this says nothing. */
  gatewayObservationMsMax: 10_000,
  /** Probes answered in a row before a tunnel counts as verified. */
  gatewayProbesMin: 3,
  /** Rounds of probes without an answer before the peer counts as gone. */
  gatewayProbesMissedMax: 3,
  /** An old tunnel is idle after this long without a byte; at the longest so long is waited for it. */
  gatewayDrainMsDefault: 2_000,
  gatewayDrainMsMax: 60_000,
  /** Requests for certificates and the certificates themselves must be there within this time. */
  gatewayIssueMsMax: 120_000,
  /** A site must have switched, drained or removed within this time; it includes the longest drain. */
  gatewayAcknowledgeMsMax: 90_000,
  /** A link that is no longer wanted is forgotten after this long, also when a site does not answer. */
  gatewayDetachMsMax: 600_000,
  /** Least time between two decisions of a hub, and how often it looks when nothing is told: with work and without. */
  gatewayHubSpacingMs: 50,
  gatewayHubTickMs: 1_000,
  gatewayHubIdleMs: 30_000,
  /** Spacing of attempts: the first retry, doubled up to the longest. */
  gatewayRetryMsMin: 60_000,
  gatewayRetryMsMax: 1_800_000,
  /** Attempts in a row that may be undone before a rotation is called failed; it is still tried again. */
  gatewayAttemptsMax: 5,
  /** Ended rotations kept in a link's record. */
  gatewayHistoryMax: 8,
  /** How far the clock of a site may be behind the hub's. */
  certificateSkewMs: 10 * 60_000,
  /** Packets in a tunnel: with OpenVPN's own 60 bytes and IPv6 below, one of the underlay's 1,500 holds it. */
  gatewayTunnelMtu: 1_400,
  /** Of a gateway's socket, as far as the host's net.core.rmem_max allows: what comes while OpenVPN waits for a processor. */
  gatewayReceiveBufferBytes: 1 << 20,
  gatewayHandshakeSeconds: 20,
  /** A tunnel that is silent for so long begins anew; a packet each `gatewayPingSeconds` keeps it from that. */
  gatewayPingSeconds: 2,
  gatewayPingRestartSeconds: 10,
  /** OpenVPN's management interface: one line, one answer, and until a process that was started listens there. */
  gatewayManagementLineMax: 1_024,
  gatewayManagementMsMax: 2_000,
  gatewayStartMsMax: 5_000,
  gatewayStartPollMs: 20,
  /** Until a process that was told to end is made to. */
  gatewayStopMsMax: 3_000,
  gatewayStopPollMs: 20,
  /** UDP, inside of tunnels only. */
  gatewayProbePort: 11_193,
  /** An observation waits so long for the answers to its probes. */
  gatewayProbeMsMax: 500,
  /** Packet records kept per node by the lab for per-packet accounting. */
  labPacketRecordsMax: 2_000_000,
} as const;

assert(limits.retryMsMin < limits.retryMsMax, "retry limits are ordered");
assert(limits.leaseMsDefault < limits.kubernetesLeaseMsDefault, "fewer renewals where they are dearer");
assert(limits.kubernetesLeaseMsDefault < limits.silentMsDefault, "a lease ends before its node counts as silent");
assert(2 * limits.probedPeersMax <= limits.probesPerEffectMax, "one request probes the whole sample");
assert(limits.probeMsMax < limits.probeRetryMs, "a probe has failed before the next one is due");
assert(limits.drainMsMin <= limits.drainMsDefault, "drain limits are ordered");
assert(limits.drainMsDefault < limits.retireDeadlineMsDefault, "a drain fits before the deadline");
assert(limits.drainMsDefault >= limits.neighbourWaitMsMax, "a packet that waits for its neighbour is sent before its key goes");
assert(limits.keyWriteMsMax > 2 * limits.registryRequestMsMax, "a key is read and written in time");
assert(limits.replayWindowMin <= limits.replayWindowDefault, "the default replay window is allowed");
assert(limits.replayWindowDefault <= limits.replayWindowMax, "replay window limits are ordered");
assert(limits.dataplaneSasMax >= limits.peersMax * 6, "a rotation of the largest fleet fits the dataplane");
assert(limits.keyFileSettleMs < limits.keyFilePollMsDefault, "a change settles before the next poll");
assert(limits.stateLockWaitMsMin < limits.stateLockWaitMsMax, "lock waits are ordered");
assert(limits.controlReconnectMsMin < limits.controlReconnectMsMax, "reconnect limits are ordered");
assert(limits.netlinkReceiveBytes > 32 * 1024, "a part of a dump fits one receive call");
assert(limits.stageDeadlineMsDefault > limits.rotationDurationMsDefault, "staging outlasts jitter");
assert(
  limits.registryFrameBytesMax >=
    6 * limits.recordBytesMax + limits.registryOperationsMax * limits.registryKeyLengthMax,
  "a frame holds the largest transaction",
);
assert(limits.registryPartBytes < limits.recordBytesMax, "a part is not larger than a record");
assert(limits.registryBacklogBytesMax > limits.registryFrameBytesMax, "a backlog holds a frame");
assert(limits.registryReconnectMsMin < limits.registryReconnectMsMax, "reconnect limits are ordered");
assert(limits.restoreIndicesSkipped > limits.peersMax, "a fleet may have been replaced since a backup");
assert(limits.registryConflictMsMin < limits.registryConflictMsMax, "conflict limits are ordered");
assert(limits.gatewayProbeMsMax < limits.gatewayObserveMs, "probes are answered before the next observation");
assert(limits.gatewayPingSeconds * 3 < limits.gatewayPingRestartSeconds, "two pings of a tunnel may be lost");
assert(limits.gatewayObserveMs * 3 < limits.gatewayObservationMsMax, "three observations may be lost");
assert(limits.gatewayReportIdleMs * 2 < limits.gatewaySilentMs, "two reports may be lost before a site is silent");
assert(limits.gatewayDrainMsDefault < limits.gatewayDrainMsMax, "gateway drain limits are ordered");
assert(limits.gatewayDrainMsMax < limits.gatewayAcknowledgeMsMax, "a drain ends before it is late");
assert(limits.gatewayRetryMsMin < limits.gatewayRetryMsMax, "gateway retry limits are ordered");
assert(limits.kubernetesIdleMsMax > 60_000, "a bookmark comes every minute");
assert(limits.kubernetesWatchSecondsMin < limits.kubernetesWatchSecondsMax, "watch times are ordered");
assert(limits.kubernetesLineBytesMax > 2 * limits.recordBytesMax, "an event holds the largest record");
assert(limits.rosterIntentsMax < limits.rosterReleasedMax, "a batch of removals fits the ledger");
assert(limits.recordingWaitingBytesMax < limits.recordingBytesMax, "a recording holds what waits for it");
assert(2 * limits.etcdAttemptMsMax <= limits.registryRequestMsMax, "a request may ask two members of etcd");
assert(
  limits.etcdPageItemsMax * limits.recordBytesMax < limits.etcdMessageBytesMax,
  "a page of the largest records fits a message of etcd",
);
assert(2 * limits.registryPingMs <= limits.registryRequestMsMax, "two pings fit in one request's time");
