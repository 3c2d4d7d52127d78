/** Where a service of ours listens, and where it is reached: status server and registry. */
export type ServiceAddress =
  | { readonly kind: "unix"; readonly path: string }
  /** `host` is a literal IP address: a name may resolve to anything. Port 0: the system chooses. */
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };
