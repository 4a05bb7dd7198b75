/** A user of a tenant, or a tenant with all of its users. */
export interface Owner {
  readonly tenant: string;
  /** Null: all users of the tenant. */
  readonly userUuid: string | null;
}
