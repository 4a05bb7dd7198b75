/** Where the embedded PostgreSQL listens, in the words of its clients. It asks for no password: see `cluster.ts`. */
export interface SocketAddress {
  /** The folder of its Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly username: string;
}
