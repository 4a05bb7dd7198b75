/** Where the embedded PostgreSQL listens, in the form of client options. No password is needed: see `cluster.ts`. */
export interface SocketAddress {
  /** The folder of its Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly username: string;
}
