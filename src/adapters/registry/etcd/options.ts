/** Where an etcd cluster is and how it is spoken to. Paths are absolute; files are read anew at each connection. */
export interface EtcdOptions {
  /** Members of one cluster; any of them will do. */
  readonly endpoints: readonly EtcdEndpoint[];
  /** In front of every key, so that fleets and others share a cluster. Ends with a slash. */
  readonly prefix: string;
  /** Null: without TLS. */
  readonly tls: EtcdTls | null;
  /** Null: without a user, or with the one that the client certificate names. */
  readonly login: EtcdLogin | null;
}

export interface EtcdEndpoint {
  /** A name, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
}

export interface EtcdTls {
  /** Null: the authorities that Node.js trusts. */
  readonly caFile: string | null;
  readonly client: { readonly certificateFile: string; readonly keyFile: string } | null;
}

export interface EtcdLogin {
  readonly user: string;
  /** The password is its content, less one line end. */
  readonly passwordFile: string;
}

export function formatEndpoint({ host, port }: EtcdEndpoint): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
