/** `PoolStatus`, as a query and live. */
import type { PoolStatus as Status } from '../pool/service.ts';
import { builder } from './builder.ts';

const PoolStatus = builder.objectRef<Status>('PoolStatus').implement({
  description: 'The workers of this installation, counted. total = starting + idle + busy.',
  fields: (t) => ({
    totalWorkers: t.exposeInt('totalWorkers', { description: 'All that live or are being made.' }),
    busyWorkers: t.exposeInt('busyWorkers', { description: 'Bound to a session.' }),
    idleWorkers: t.exposeInt('idleWorkers', { description: 'Ready for a session.' }),
    startingWorkers: t.exposeInt('startingWorkers', { description: 'Requested or starting.' }),
    waitingRequests: t.exposeInt('waitingRequests', {
      description: 'Calls that wait for a worker, over all gateways.',
    }),
    minIdleWorkers: t.exposeInt('minIdleWorkers', {
      description: 'MIN_IDLE_WORKERS: how many are kept ready.',
    }),
    maxTotalWorkers: t.exposeInt('maxTotalWorkers', {
      description: 'MAX_TOTAL_WORKERS: how many there may be at all.',
    }),
    isInitializing: t.exposeBoolean('isInitializing', {
      description: 'The gateway has just started and is not through with what it found.',
    }),
  }),
});

builder.queryField('poolStatus', (t) =>
  t.field({
    type: PoolStatus,
    description: 'The workers of this installation, counted now.',
    resolve: (_root, _args, { service }) => service.poolStatus(),
  }),
);

builder.subscriptionField('poolStatus', (t) =>
  t.field({
    type: PoolStatus,
    description: 'The status now, then after each change.',
    subscribe: (_root, _args, { service }) => service.followPoolStatus(),
    resolve: (status) => status,
  }),
);
