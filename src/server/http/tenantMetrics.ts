/** The metrics that `/metrics` shows to a token of one tenant: only numbers of that tenant. */
import { Gauge, Registry } from 'prom-client';
import type { MetricsView } from '../../service/pool/metrics.ts';

type TenantView = Extract<MetricsView, { readonly of: 'tenant' }>;

/** In Prometheus' text format. */
export async function tenantMetrics(view: TenantView): Promise<string> {
  const registry = new Registry();
  const add = (name: string, help: string, value: number) =>
    new Gauge({ name: `cellhouse_tenant_${name}`, help, registers: [registry] }).set(value);
  add('open_sessions', 'Open sessions of the tenant.', view.openSessions);
  add('waiting_requests', 'Calls of the tenant that wait for a worker.', view.waitingRequests);
  add(
    'queued_executions',
    'Executions of the tenant that wait for their turn.',
    view.queuedExecutions,
  );
  add('running_executions', 'Executions of the tenant that run.', view.runningExecutions);
  const labelled = (name: string, help: string) =>
    new Gauge({
      name: `cellhouse_tenant_${name}`,
      help,
      labelNames: ['kind'],
      registers: [registry],
    });
  const limits = labelled('quota_limit', 'The quotas of the tenant, where there are any.');
  const used = labelled('quota_used', 'What the tenant uses of each kind of quota.');
  for (const { kind, limit, used: now } of view.quotas) {
    if (limit !== null) limits.set({ kind }, limit);
    used.set({ kind }, now);
  }
  return await registry.metrics();
}
