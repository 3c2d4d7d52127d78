/**
 * Why a lab could not run at all; what a run found is in its report. Codes are in
 * docs/reference/errors.md.
 */
export type LabErrorCode =
  | "LAB_START_TIMEOUT"
  | "LAB_PROGRAM_FAILED"
  | "LAB_REGISTRY_FAILED"
  | "LAB_NETWORK_UNAVAILABLE"
  | "LAB_OPENVPN_MISSING"
  | "LAB_INTERRUPTED";

export class LabError extends Error {
  override readonly name = "LabError";
  readonly code: LabErrorCode;

  constructor(code: LabErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
