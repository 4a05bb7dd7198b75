/** `PoolStatus`, as a query and as a subscription. */
import type {
  PoolDegradation as Degradation,
  EnvironmentWorkers as Numbers,
  PoolStatus as Status,
} from '../../domain/poolStatus.ts';
import { builder } from '../builder.ts';

const PoolDegradationReason = builder.enumType('PoolDegradationReason', {
  description: 'The reason why no worker can be made.',
  values: {
    ENGINE_AWAY: { value: 'engine-away', description: 'The Docker engine does not answer.' },
    OTHER_ENGINE: {
      value: 'other-engine',
      description: 'Another Docker engine answers in place of the one that the workers are on.',
    },
    IMAGE_MISSING: {
      value: 'image-missing',
      description: 'The worker image does not exist on the engine.',
    },
    DISK_FULL: { value: 'disk-full', description: 'A disk that workers need is full.' },
    WORKER_START_FAILED: {
      value: 'worker-start-failed',
      description: 'The last worker could not be started for another reason. See the log.',
    },
  } as const,
});

const PoolDegradation = builder.objectRef<Degradation>('PoolDegradation').implement({
  description:
    'Why no worker can be made, as far as the answering gateway knows. Open sessions continue to work.',
  fields: (t) => ({
    reason: t.expose('reason', { type: PoolDegradationReason, description: 'The reason.' }),
    message: t.exposeString('message', {
      description: 'The reason in words. Details are in the log.',
    }),
    since: t.expose('since', { type: 'DateTime', description: 'When it began.' }),
  }),
});

export const EnvironmentWorkers = builder.objectRef<Numbers>('EnvironmentWorkers').implement({
  description:
    'Numbers of workers of one version of an environment. total = starting + idle + busy.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'The name of the environment.' }),
    version: t.exposeInt('version', { description: 'Its version.' }),
    totalWorkers: t.exposeInt('totalWorkers', {
      description: 'Number of its workers: starting, idle and busy together.',
    }),
    busyWorkers: t.exposeInt('busyWorkers', { description: 'Those that serve a session.' }),
    idleWorkers: t.exposeInt('idleWorkers', {
      description: 'Those that are ready for a session in the environment.',
    }),
    startingWorkers: t.exposeInt('startingWorkers', { description: 'Those that are being made.' }),
  }),
});

const PoolStatus = builder.objectRef<Status>('PoolStatus').implement({
  description:
    'Numbers of workers: of this installation for an operator, and of their own sessions for everybody else. total = starting + idle + busy.',
  fields: (t) => ({
    totalWorkers: t.exposeInt('totalWorkers', {
      description: 'Number of workers: starting, idle and busy together.',
    }),
    busyWorkers: t.exposeInt('busyWorkers', { description: 'Workers that serve a session.' }),
    idleWorkers: t.exposeInt('idleWorkers', {
      description: 'Workers that are ready for a session.',
    }),
    startingWorkers: t.exposeInt('startingWorkers', {
      description: 'Workers that are being made.',
    }),
    environments: t.expose('environments', {
      type: [EnvironmentWorkers],
      description:
        'The workers of environments, which count in the numbers above, too. One without workers is absent. Empty unless the caller is an operator.',
    }),
    waitingRequests: t.exposeInt('waitingRequests', {
      description:
        'Calls that wait for a worker, at all gateways together. Only those of the tenant, unless the caller is an operator.',
    }),
    minIdleWorkers: t.exposeInt('minIdleWorkers', {
      description:
        'The setting MIN_IDLE_WORKERS: how many workers are kept ready. 0 unless the caller is an operator.',
    }),
    minIdleEnvironmentWorkers: t.exposeInt('minIdleEnvironmentWorkers', {
      description:
        'The setting MIN_IDLE_ENVIRONMENT_WORKERS: how many workers of each environment in use are kept ready. 0 unless the caller is an operator.',
    }),
    maxTotalWorkers: t.exposeInt('maxTotalWorkers', {
      description:
        'The setting MAX_TOTAL_WORKERS: the highest allowed number of workers. The quota of OPEN_SESSIONS, if it is lower and the caller is no operator.',
    }),
    isInitializing: t.exposeBoolean('isInitializing', {
      description:
        'Whether the gateway has just started and is still taking over existing workers.',
    }),
    degradation: t.expose('degradation', {
      type: PoolDegradation,
      nullable: true,
      description: 'Why no worker can be made. Null if no obstacle is known.',
    }),
  }),
});

builder.queryField('poolStatus', (t) =>
  t.field({
    type: PoolStatus,
    description: 'The current numbers of workers.',
    resolve: (_root, _args, { service, principal }) => service.poolStatus(principal),
  }),
);

builder.subscriptionField('poolStatus', (t) =>
  t.field({
    type: PoolStatus,
    description:
      'The status now, and then after each change. A slow client misses intermediate states, but never the latest.',
    subscribe: (_root, _args, { service, principal }) => service.followPoolStatus(principal),
    resolve: (status) => status,
  }),
);
