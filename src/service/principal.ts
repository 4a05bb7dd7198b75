/** Who makes a call. For now there is one token, and one tenant. */
export interface Principal {
  readonly tenant: string;
}
