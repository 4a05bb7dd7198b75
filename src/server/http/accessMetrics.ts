/** The metrics of refused callers. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { FailedLogins } from './failedLogins.ts';

export interface AccessCounts {
  /** One for each kind of secret: tokens, keys and signatures. */
  readonly failedLogins: readonly Pick<FailedLogins, 'count' | 'limited'>[];
  /** Refused calls by code. */
  readonly refusals: { readonly totals: ReadonlyMap<string, number> };
}

export function addAccess(registry: Registry, { failedLogins, refusals }: AccessCounts): void {
  const registers = [registry];
  new Counter({
    name: 'cellhouse_failed_logins_total',
    help: 'Calls and connections with a wrong token.',
    registers,
    collect() {
      this.reset();
      for (const { count } of failedLogins) this.inc(count);
    },
  });
  new Gauge({
    name: 'cellhouse_limited_addresses',
    help: 'Addresses that have sent too many wrong tokens, and must wait.',
    registers,
    collect() {
      this.set(failedLogins.reduce((sum, { limited }) => sum + limited, 0));
    },
  });
  new Counter({
    name: 'cellhouse_refused_calls_total',
    help: 'Calls that were refused, by code.',
    labelNames: ['code'],
    registers,
    collect() {
      this.reset();
      for (const [code, count] of refusals.totals) this.inc({ code }, count);
    },
  });
}
