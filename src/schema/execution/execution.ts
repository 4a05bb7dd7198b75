/** `Execution`: asked for, listed and interrupted. */
import type { Execution as ExecutionRow } from '../../domain/execution.ts';
import { builder } from '../builder.ts';
import { connectionOf, PAGE_ARGS } from '../connection.ts';
import { Session } from '../session/session.ts';
import { ExecutionError } from './executionError.ts';
import { ExecutionFinished, OutputEvent } from './outputEvent.ts';

const ExecutionStatus = builder.enumType('ExecutionStatus', {
  description: 'How far an execution is, or how it ended.',
  values: {
    QUEUED: { description: 'Accepted; runs when those before it in the session are over.' },
    RUNNING: { description: 'The kernel has started it.' },
    OK: { description: 'The code ended without an exception.' },
    ERROR: { description: 'The code ended with an exception, or killed the kernel; see `error`.' },
    TIMEOUT: { description: 'The time limit passed, whatever the code answered then.' },
    INTERRUPTED: { description: '`interrupt` or `restartKernel` hit it while it ran.' },
    WORKER_LOST: { description: 'Its container is gone.' },
    CANCELLED: { description: 'Interrupted while queued, or the session was released.' },
  } as const,
});

export const Execution = builder.objectRef<ExecutionRow>('Execution').implement({
  description: 'One piece of code run in a session.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id; ids sort by time.' }),
    status: t.expose('status', { type: ExecutionStatus, description: 'How far it is.' }),
    userUuid: t.exposeString('userUuid', { description: 'Whose it is.' }),
    timeoutMs: t.exposeInt('timeoutMs', {
      description: 'Its time limit, in milliseconds from when the kernel starts it.',
    }),
    idempotencyKey: t.exposeString('idempotencyKey', {
      nullable: true,
      description: 'The key it was requested under.',
    }),
    executionCount: t.exposeInt('executionCount', {
      nullable: true,
      description: "IPython's `In[n]`.",
    }),
    stateLost: t.exposeBoolean('stateLost', {
      description:
        'Variables are gone: the kernel was replaced after this was accepted, or this is the first that its fresh kernel began.',
    }),
    truncated: t.exposeBoolean('truncated', {
      description: 'Not all of its output could be kept; a GapOutput says where.',
    }),
    session: t.field({
      type: Session,
      description: 'The session it belongs to.',
      resolve: async ({ id, sessionId }, _args, context, info) => {
        const session = await context.answer(info).session(sessionId);
        if (!session) throw new Error(`The session ${sessionId} of execution ${id} is not there.`);
        return session;
      },
    }),
  }),
});

builder.objectFields(Execution, (t) => ({
  requestedAt: t.expose('requestedAt', { type: 'DateTime', description: 'When it was accepted.' }),
  startedAt: t.expose('startedAt', {
    type: 'DateTime',
    nullable: true,
    description: 'When the kernel started it.',
  }),
  finishedAt: t.expose('finishedAt', {
    type: 'DateTime',
    nullable: true,
    description: 'When it was over.',
  }),
  queuedMs: t.exposeFloat('queuedMs', {
    nullable: true,
    description: 'From acceptance to start (or to the end, if it never started).',
  }),
  durationMs: t.exposeFloat('runMs', {
    nullable: true,
    description: 'From start to end; null if it never started.',
  }),
  cpuMs: t.exposeFloat('cpuMs', {
    nullable: true,
    description: "CPU time that its worker's container used meanwhile.",
  }),
  peakMemoryBytes: t.exposeFloat('peakMemoryBytes', {
    nullable: true,
    description: "The highest sample of its worker's memory meanwhile.",
  }),
  outputBytes: t.exposeFloat('outputBytes', {
    description: 'Bytes the code produced, kept or not.',
  }),
}));

builder.objectFields(Execution, (t) => ({
  stdout: t.string({
    description: 'All text written to standard output so far, joined.',
    resolve: (execution, _args, context, info) =>
      context.answer(info).assembled(execution, 'stdout'),
  }),
  stderr: t.string({
    description: 'All text written to standard error so far, joined.',
    resolve: (execution, _args, context, info) =>
      context.answer(info).assembled(execution, 'stderr'),
  }),
  stdoutRendered: t.string({
    nullable: true,
    description:
      'stdout as a terminal shows it: what `clear_output` cleared is gone, progress bars are one line, colours are left out. Null, with an error, if there are more than 1,048,576 characters to be drawn so.',
    resolve: (execution, _args, context, info) =>
      context.answer(info).assembled(execution, 'stdoutRendered'),
  }),
  resultText: t.string({
    nullable: true,
    description:
      "stdout, then the last result's text/plain, nothing between; null if both are empty.",
    resolve: (execution, _args, context, info) =>
      context.answer(info).assembled(execution, 'resultText'),
  }),
  resultBase64: t.string({
    nullable: true,
    description: 'The last PNG it showed, base64 on one line.',
    resolve: (execution, _args, context, info) =>
      context.answer(info).assembled(execution, 'resultBase64'),
  }),
}));

builder.objectFields(Execution, (t) => ({
  code: t.string({
    description: 'The code, as it was sent; empty once its events were pruned.',
    resolve: (execution, _args, context, info) => context.answer(info).code(execution),
  }),
  outputs: t.field({
    type: [OutputEvent],
    description: 'All of its output events so far but the finish, in order.',
    args: {
      after: t.arg.int({ defaultValue: 0, description: 'Only those with a larger seq.' }),
      first: t.arg.int({ description: 'At most so many; null for all.' }),
    },
    resolve: (execution, range, context, info) => context.answer(info).outputs(execution, range),
  }),
  error: t.field({
    type: ExecutionError,
    nullable: true,
    description: 'The exception that ended it; null unless the status is ERROR.',
    resolve: (execution, _args, context, info) => context.answer(info).error(execution),
  }),
}));

builder.objectField(ExecutionFinished, 'execution', (t) =>
  t.field({
    type: Execution,
    description: 'The execution as it ended.',
    resolve: async ({ executionId }, _args, { service, principal }) => {
      const execution = await service.execution(principal, executionId);
      if (!execution) throw new Error(`The finished execution ${executionId} is not there.`);
      return execution;
    },
  }),
);

builder.queryFields((t) => ({
  execution: t.field({
    type: Execution,
    nullable: true,
    description: 'An execution by its id; null if there is none.',
    args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
    resolve: (_root, { id }, { service, principal }) => service.execution(principal, id),
  }),
  executions: t.field({
    type: connectionOf('Execution', Execution),
    description: 'Executions, the last accepted first.',
    args: {
      userUuid: t.arg.string({ description: 'Only of this user.' }),
      status: t.arg({ type: ExecutionStatus, description: 'Only those in this status.' }),
      from: t.arg({ type: 'DateTime', description: 'Only those requested then or later.' }),
      to: t.arg({ type: 'DateTime', description: 'Only those requested before then.' }),
      first: t.arg.int(PAGE_ARGS.first),
      after: t.arg.string(PAGE_ARGS.after),
    },
    resolve: (_root, { first, after, ...filter }, { service, principal }) =>
      service.executions(principal, filter, { first, after }),
  }),
}));

builder.mutationField('interrupt', (t) =>
  t.field({
    type: Execution,
    description:
      'Interrupts a queued or running execution; the session keeps its variables. Its status then says what was done: INTERRUPTED, CANCELLED if it was queued, how it ended if it was over already, and RUNNING if its code takes no notice (restartKernel ends that). Asking again changes nothing.',
    args: { executionId: t.arg.id({ required: true, description: 'Which execution.' }) },
    resolve: (_root, { executionId }, { service, principal }) =>
      service.interrupt(principal, executionId),
  }),
);
