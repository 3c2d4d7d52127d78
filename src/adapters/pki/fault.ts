/** Why a name, request or certificate is refused. Codes are in docs/reference/errors.md. */
export interface PkiFault {
  readonly code:
    | "CERTIFICATE_NAME_INVALID"
    | "CERTIFICATE_REQUEST_INVALID"
    | "CERTIFICATE_REQUEST_REFUSED"
    | "CERTIFICATE_UNREADABLE";
  readonly message: string;
}
