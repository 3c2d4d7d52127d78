/** Why the dataplane refused one operation. The code reaches the agent in `FailedOperation`. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly message: string;
}

export type RefusalCode =
  | "EEXIST"
  | "KEY_LENGTH_UNSUPPORTED"
  | "DATAPLANE_UNSUPPORTED"
  | "DATAPLANE_NOT_LOCAL"
  | "DATAPLANE_FULL";
