/** Who asks. There is one token, and one tenant, for now. */
export interface Principal {
  readonly tenant: string;
}
