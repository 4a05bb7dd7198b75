/** `PoolStatus`, as a query and live. */
import type {
  PoolDegradation as Degradation,
  PoolStatus as Status,
} from '../../domain/poolStatus.ts';
import { builder } from '../builder.ts';

const PoolDegradationReason = builder.enumType('PoolDegradationReason', {
  description: 'Why no worker can be made.',
  values: {
    ENGINE_AWAY: { value: 'engine-away', description: 'The Docker engine does not answer.' },
    OTHER_ENGINE: {
      value: 'other-engine',
      description: 'Another Docker engine answers than the one that the workers are on.',
    },
    IMAGE_MISSING: {
      value: 'image-missing',
      description: 'The worker image does not exist on the engine.',
    },
    DISK_FULL: { value: 'disk-full', description: 'A disk that workers need is full.' },
    WORKER_START_FAILED: {
      value: 'worker-start-failed',
      description: 'The last worker could not be started for some other reason: see the log.',
    },
  } as const,
});

const PoolDegradation = builder.objectRef<Degradation>('PoolDegradation').implement({
  description: 'No worker can be made, as far as the gateway that answers knows. Sessions go on.',
  fields: (t) => ({
    reason: t.expose('reason', { type: PoolDegradationReason, description: 'Why.' }),
    message: t.exposeString('message', {
      description: 'The same in words. Details are in the log.',
    }),
    since: t.expose('since', { type: 'DateTime', description: 'Since when.' }),
  }),
});

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
    degradation: t.expose('degradation', {
      type: PoolDegradation,
      nullable: true,
      description: 'Why no worker can be made; null when nothing is known to be wrong.',
    }),
  }),
});

builder.queryField('poolStatus', (t) =>
  t.field({
    type: PoolStatus,
    description: 'The workers of this installation, counted now.',
    resolve: (_root, _args, { service, principal }) => service.poolStatus(principal),
  }),
);

builder.subscriptionField('poolStatus', (t) =>
  t.field({
    type: PoolStatus,
    description: 'The status now, then after each change.',
    subscribe: (_root, _args, { service, principal }) => service.followPoolStatus(principal),
    resolve: (status) => status,
  }),
);
