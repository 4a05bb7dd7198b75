/**
 * Where a PostgreSQL is: the operator's `DATABASE_URL`, or the parts of an embedded one's address as postgres.js takes
 * them (`host` may be the folder of a Unix socket).
 */
export type DatabaseAddress =
  | { readonly url: string }
  | {
      readonly host: string;
      readonly port: number;
      readonly database: string;
      readonly username: string;
    };
