/** Where a service of ours listens, and where it is reached: status, registry, dataplane control. */
export type ServiceAddress =
  | { readonly kind: "unix"; readonly path: string }
  /** `host` is a literal IP address: a name may resolve to anything. Port 0 lets the system choose when listening. */
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };
