/** `Worker` and its states. */
import type { Worker as WorkerRow } from '../../domain/worker.ts';
import { builder } from '../builder.ts';
import { connectionOf, pageArgs } from '../connection.ts';
import { Environment } from '../environment/environment.ts';

export const WorkerState = builder.enumType('WorkerState', {
  description: 'The state of a worker. A worker serves one session and is never reused.',
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
  description: 'One locked-down container with one Python kernel.',
  fields: (t) => ({
    id: t.exposeID('id', {
      description: 'The id of the worker. Its container has it as the label `cellhouse.worker`.',
    }),
    state: t.expose('state', { type: WorkerState, description: 'The state of the worker.' }),
    environment: t.field({
      type: Environment,
      nullable: true,
      description: 'The version of the environment whose image it has. Null: it has none.',
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
      description: 'When its kernel first answered. Null until then.',
    }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was retired or lost. Null until then.',
    }),
    endReason: t.exposeString('endReason', {
      nullable: true,
      description:
        'Why it ended. If retired: released, idle, expired, shutdown or recycled. If lost: exited, oom, unreachable, create-failed or engine-restarted.',
    }),
  }),
});

builder.queryField('workers', (t) =>
  t.field({
    type: connectionOf('Worker', Worker),
    description:
      'The workers of this installation, for an operator, and those that have or had a session of their tenant, for everybody else: the last requested first.',
    args: {
      states: t.arg({ type: [WorkerState], description: 'Only those in one of these states.' }),
      ...pageArgs,
    },
    resolve: (_root, { states, ...page }, { service, principal }) =>
      service.workers(principal, { states }, page),
  }),
);
