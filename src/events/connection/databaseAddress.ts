/** A connection URL, or its parts (`host` may be the folder of a Unix socket). */
export type DatabaseAddress =
  | { readonly url: string }
  | {
      readonly host: string;
      readonly port: number;
      readonly database: string;
      readonly username: string;
      readonly password?: string;
    };
