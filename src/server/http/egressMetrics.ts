/** The metrics of the connections that user code makes to the outside. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { EgressTotals } from '../../domain/egress/egressCount.ts';

export interface EgressView {
  /** Null: code may reach nothing. */
  readonly egressTotals: () => EgressTotals | null;
}

export function addEgress(registry: Registry, { egressTotals }: EgressView): void {
  const registers = [registry];
  new Gauge({
    name: 'cellhouse_egress_connections',
    help: 'Open connections of code to the outside.',
    registers,
    collect() {
      this.set(egressTotals()?.open ?? 0);
    },
  });
  new Counter({
    name: 'cellhouse_egress_connections_total',
    help: 'Connections to the outside that code has asked for, by outcome.',
    labelNames: ['outcome'],
    registers,
    collect() {
      this.reset();
      for (const [outcome, count] of egressTotals()?.outcomes ?? []) this.inc({ outcome }, count);
    },
  });
  new Counter({
    name: 'cellhouse_egress_bytes_total',
    help: 'Bytes that code has exchanged with the outside.',
    labelNames: ['direction'],
    registers,
    collect() {
      this.reset();
      const totals = egressTotals();
      this.inc({ direction: 'sent' }, totals?.sentBytes ?? 0);
      this.inc({ direction: 'received' }, totals?.receivedBytes ?? 0);
    },
  });
}
