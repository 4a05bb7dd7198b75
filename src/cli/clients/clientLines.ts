/** The address of the gateway, and a token for it. */
export interface At {
  /** Of the gateway, without a slash at its end. */
  readonly url: string;
  readonly token: string;
  /** The path of the command `cellhouse` for hosts that start a command. */
  readonly program: string;
}

export interface ClientLines {
  /** The name of the client, and where the lines go. */
  readonly client: string;
  readonly lines: (at: At) => string;
}
