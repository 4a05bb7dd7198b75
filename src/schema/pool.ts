/** The pool: its workers and its status. */
import type {
  PoolDegradation as Degradation,
  EnvironmentWorkers as Numbers,
  VisibleStatus,
} from '../domain/poolStatus.ts';
import type { Worker as WorkerRow } from '../domain/worker.ts';
import { builder, connectionOf, pageArgs } from './builder.ts';
import { WorkerEnd } from './enums.ts';
import { Environment } from './environment.ts';

export const WorkerState = builder.enumType('WorkerState', {
  description: 'The state of a worker. A worker serves one session at most, and is never reused.',
  values: {
    REQUESTED: { description: 'The worker has been requested. It has no container yet.' },
    STARTING: { description: 'Its container runs. The kernel does not answer yet.' },
    IDLE: { description: 'It is ready for a session.' },
    ASSIGNED: { description: 'It serves a session.' },
    LOST: {
      description:
        'It ended by a failure, such as exited, out of memory or unreachable. See `endReason`.',
    },
    RETIRED: { description: 'It was ended on purpose. Its container is about to be removed.' },
    REMOVED: { description: 'Its container is gone.' },
  } as const,
});

export const Worker = builder.objectRef<WorkerRow>('Worker').implement({
  description: 'One locked-down container. It serves one session at most, and is never reused.',
  fields: (t) => ({
    id: t.exposeID('id', {
      description: 'The id of the worker. Its container has it as the label `cellhouse.worker`.',
    }),
    state: t.expose('state', { type: WorkerState, description: 'The state of the worker.' }),
    environment: t.field({
      type: Environment,
      nullable: true,
      description: 'The version of the environment whose image it has. Null if it has none.',
      resolve: (worker, _args, context, info) => context.answer(info).environmentOf(worker),
    }),
    containerId: t.exposeString('containerId', {
      nullable: true,
      description: "The container's id in the engine. Null until there is one.",
    }),
    createdAt: t.expose('requestedAt', {
      type: 'DateTime',
      description: 'When the worker was requested.',
    }),
    name: t.exposeString('name', { description: "The container's name." }),
    readyAt: t.expose('readyAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When its kernel first answered. Null if it has not answered yet.',
    }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was retired or lost. Null if it was not.',
    }),
    endReason: t.expose('endReason', {
      type: WorkerEnd,
      nullable: true,
      description: 'Why it ended. Null if it has not ended.',
    }),
  }),
});

builder.queryField('worker', (t) =>
  t.field({
    type: Worker,
    nullable: true,
    description:
      'The worker with this id. Null if there is none. Operators get any worker, other callers only those that have had a session of their tenant. Not for the role USER.',
    args: { id: t.arg.id({ required: true, description: 'The id of the worker.' }) },
    resolve: (_root, { id }, { service, principal }) => service.worker(principal, id),
  }),
);

builder.queryField('workers', (t) =>
  t.field({
    type: connectionOf('Worker', Worker),
    description:
      'Workers, the last requested first. Operators get all workers of this installation, other callers those that have had a session of their tenant. Not for the role USER.',
    args: {
      states: t.arg({ type: [WorkerState], description: 'Only workers in one of these states.' }),
      ...pageArgs,
    },
    resolve: (_root, { states, ...page }, { service, principal }) =>
      service.workers(principal, { states }, page),
  }),
);

// `PoolStatus`, as a query and as a subscription.

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
    reason: t.expose('reason', {
      type: PoolDegradationReason,
      description: 'What kind of obstacle it is.',
    }),
    message: t.exposeString('message', {
      description: 'The reason in words. Details are in the log.',
    }),
    since: t.expose('since', { type: 'DateTime', description: 'When it began.' }),
  }),
});

export const EnvironmentWorkers = builder.objectRef<Numbers>('EnvironmentWorkers').implement({
  description:
    'How many workers one version of an environment has. total = starting + idle + busy.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'The name of the environment.' }),
    version: t.exposeInt('version', { description: 'Its version.' }),
    totalWorkers: t.exposeInt('totalWorkers', {
      description: 'Number of its workers: starting, idle and busy together.',
    }),
    busyWorkers: t.exposeInt('busyWorkers', { description: 'Workers that serve a session.' }),
    idleWorkers: t.exposeInt('idleWorkers', {
      description: 'Workers that are ready for a session in the environment.',
    }),
    startingWorkers: t.exposeInt('startingWorkers', {
      description: 'Workers that are being made.',
    }),
  }),
});

const PoolStatus = builder.objectRef<VisibleStatus>('PoolStatus').implement({
  description:
    'How many workers there are. Operators: in this installation. Other callers: in their own sessions. total = starting + idle + busy.',
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
      nullable: true,
      description:
        'The workers of environments, which the other numbers include. An environment without workers is left out. Null unless the caller is an operator.',
    }),
    waitingRequests: t.exposeInt('waitingRequests', {
      description:
        'Calls that wait for a worker, at all gateways together. Only those of the tenant, unless the caller is an operator.',
    }),
    minIdleWorkers: t.exposeInt('minIdleWorkers', {
      nullable: true,
      description:
        'The setting MIN_IDLE_WORKERS: how many workers are kept ready. Null unless the caller is an operator.',
    }),
    minIdleEnvironmentWorkers: t.exposeInt('minIdleEnvironmentWorkers', {
      nullable: true,
      description:
        'The setting MIN_IDLE_ENVIRONMENT_WORKERS: how many workers of each environment in use are kept ready. Null unless the caller is an operator.',
    }),
    maxTotalWorkers: t.exposeInt('maxTotalWorkers', {
      description:
        'The highest allowed number of workers: the setting MAX_TOTAL_WORKERS. If the quota of OPEN_SESSIONS is lower, callers who are not operators get that quota.',
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
      'The numbers of workers now, and again after each change. A slow client misses intermediate states, but never the latest.',
    subscribe: (_root, _args, { service, principal }) => service.followPoolStatus(principal),
    resolve: (status) => status,
  }),
);
