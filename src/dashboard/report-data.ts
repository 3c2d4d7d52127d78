/** What a report page carries for its charts. Plain JSON: the page is one file and fetches nothing. */

export interface NamedValues {
  readonly name: string;
  readonly values: readonly number[];
}

export interface ReportRun {
  readonly nodes: number;
  readonly binMs: number;
  readonly bins: number;
  /** Packets lost in each bin, by reason. */
  readonly losses: readonly NamedValues[];
  /** Nodes in each phase. */
  readonly phases: readonly NamedValues[];
  /** Watch events in each bin. */
  readonly registryEvents: readonly number[];
  /** Events per second that the registry delivers. */
  readonly capacityPerSecond: number;
  /** One figure per node. */
  readonly stagingMs: readonly number[];
}
