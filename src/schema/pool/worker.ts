/** `Worker` and its states. */
import type { Worker as WorkerRow } from '../../domain/worker.ts';
import { builder } from '../builder.ts';
import { connectionOf, pageArgs } from '../connection.ts';

export const WorkerState = builder.enumType('WorkerState', {
  description: 'Where a worker is in its one life: it serves one session and is never reused.',
  values: {
    REQUESTED: { description: 'Decided; there is no container yet.' },
    STARTING: { description: 'Its container runs; the kernel does not answer yet.' },
    IDLE: { description: 'Ready for a session.' },
    ASSIGNED: { description: 'Bound to a session.' },
    LOST: { description: 'Gone without being told to: exited, out of memory, unreachable.' },
    RETIRED: { description: 'Ended on purpose; its container is about to be removed.' },
    REMOVED: { description: 'Its container is gone.' },
  } as const,
});

export const Worker = builder.objectRef<WorkerRow>('Worker').implement({
  description: 'One locked-down container with one Python kernel.',
  fields: (t) => ({
    id: t.exposeID('id', {
      description: 'Its id; the container has it as label `cellhouse.worker`.',
    }),
    state: t.expose('state', { type: WorkerState, description: 'Where it is in its life.' }),
    containerId: t.exposeString('containerId', {
      nullable: true,
      description: "The container's id in the engine; null before there is one.",
    }),
    createdAt: t.expose('requestedAt', { type: 'DateTime', description: 'When it was requested.' }),
    name: t.exposeString('name', { description: "The container's name." }),
    readyAt: t.expose('readyAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When its kernel first answered.',
    }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was retired or lost.',
    }),
    endReason: t.exposeString('endReason', {
      nullable: true,
      description:
        'Why it ended: released, idle, expired, shutdown, recycled; or lost: exited, oom, unreachable, create-failed, engine-restarted.',
    }),
  }),
});

builder.queryField('workers', (t) =>
  t.field({
    type: connectionOf('Worker', Worker),
    description: 'Workers of this installation, the last requested first.',
    args: {
      states: t.arg({ type: [WorkerState], description: 'Only those in one of these states.' }),
      ...pageArgs,
    },
    resolve: (_root, { states, ...page }, { service, principal }) =>
      service.workers(principal, { states }, page),
  }),
);
