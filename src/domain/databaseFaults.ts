/** How often PostgreSQL has failed this gateway since its start. For /metrics. */
export interface DatabaseFaults {
  /** Attempts to commit that failed, and were made again. */
  commitRetries: number;
  /** Rounds in which the leases could not be renewed. */
  leaseRenewalFailures: number;
}
