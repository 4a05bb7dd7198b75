/** `Execution`, its parts and its queries. */
import type { Execution as ExecutionRow } from '../domain/execution.ts';
import {
  type FileChange as Change,
  type ExecutionFiles as Comparison,
  urlOfChange,
} from '../domain/executionFiles.ts';
import { isCommand } from '../domain/executionOptions.ts';
import { metadataOf } from '../service/validate.ts';
import { builder, connectionOf, pageArgs } from './builder.ts';
import type { SchemaContext } from './context.ts';
import { Door, NoFilesReason } from './enums.ts';
import { ExecutionError, ExecutionFinished, OutputEvent } from './output.ts';
import { Context, METADATA_FILTER, requireSession, Session, TENANT_FILTER } from './session.ts';

const ExecutionStatus = builder.enumType('ExecutionStatus', {
  description: 'Whether an execution is queued or running, or how it ended.',
  values: {
    QUEUED: {
      description:
        'Accepted. It runs after earlier executions of its context. A command runs as soon as one of MAX_COMMANDS places is free.',
    },
    RUNNING: { description: 'The kernel has started it, or the command has begun.' },
    OK: { description: 'The code ended without an exception, or the command with exit code 0.' },
    ERROR: {
      description:
        'The code ended with an exception, the kernel died, or the command ended in another way than with exit code 0. See `error`.',
    },
    TIMEOUT: { description: 'It reached its time limit, however the code reacted to that.' },
    INTERRUPTED: {
      description: '`interrupt`, `restartKernel` or `deleteContext` ended it while it ran.',
    },
    WORKER_LOST: { description: 'Its container was lost.' },
    CANCELLED: {
      description:
        'It was interrupted while it was queued; its session ended first; its context was deleted while it was queued; or an earlier execution with `cancelQueuedOnError` did not end as OK.',
    },
  } as const,
});

export const Language = builder.enumType('Language', {
  description: 'What runs the code.',
  values: {
    PYTHON: { description: 'The kernel of a context runs the code as a Python cell.' },
    BASH: {
      description:
        'Bash runs the code as a command, with its own processes. Commands run at the same time as cells and each other.',
    },
  } as const,
});

/** The size of a terminal that a command gets. */
export const TerminalInput = builder.inputType('TerminalInput', {
  description: 'The size of a terminal, in characters.',
  fields: (t) => ({
    columns: t.int({ required: true, description: 'The length of a line: 1 to 65,535.' }),
    rows: t.int({ required: true, description: 'The number of lines: 1 to 65,535.' }),
  }),
});

// `ExecutionFiles`: what an execution changed in the home.

/** Whose home it is. */
interface OfUser {
  readonly userUuid: string;
}

const FileChangeKind = builder.enumType('FileChangeKind', {
  description: 'What happened to a file. A move is a DELETED and a CREATED.',
  values: {
    CREATED: { description: 'It is there now, and was not before.' },
    MODIFIED: {
      description:
        'Its size or its time of modification has changed, or another file has its path.',
    },
    DELETED: { description: 'It was there before, and is not now.' },
  } as const,
});

const FileChange = builder.objectRef<Change & OfUser>('FileChange').implement({
  description: 'A file of the home that was created, modified or deleted.',
  fields: (t) => ({
    path: t.exposeString('path', {
      description: 'The path, relative to the home. Bytes that are not UTF-8 are written as \\xNN.',
    }),
    change: t.expose('change', { type: FileChangeKind, description: 'What happened to it.' }),
    size: t.expose('size', {
      type: 'Int53',
      nullable: true,
      description: 'Its size now, in bytes. Null if it is deleted.',
    }),
    modifiedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'Its time of modification, as the file says: code can set it to any time. Null if it is deleted, or if the time is before 1970 or after the year 9999.',
      resolve: ({ modifiedAt }) => (modifiedAt === null ? null : new Date(modifiedAt)),
    }),
    url: t.string({
      nullable: true,
      description:
        'The path of its HTTP URL, for GET, HEAD, PUT and DELETE, while the session is open. It needs the token like every request. Null if the file is deleted, or if its path has a backslash: `files` gives the URL then.',
      resolve: ({ userUuid, ...change }) => urlOfChange(userUuid, change),
    }),
  }),
});

const ExecutionFiles = builder.objectRef<Comparison & OfUser>('ExecutionFiles').implement({
  description:
    'Which files an execution changed in the home: the difference between their metadata before and after it. Folders, links, `__pycache__` and folders that begin with a dot are left out.',
  fields: (t) => ({
    changes: t.field({
      type: [FileChange],
      nullable: true,
      description: 'The changes, sorted by path. Null if they are unknown: `reason` says why.',
      resolve: ({ changes, userUuid }) =>
        changes?.map((change) => ({ ...change, userUuid })) ?? null,
    }),
    reason: t.expose('reason', {
      type: NoFilesReason,
      nullable: true,
      description: 'Why there is no list. Null if there is one.',
    }),
    shared: t.exposeBoolean('shared', {
      description:
        'Whether other code, or calls of the API, may have made some of the changes at the same time.',
    }),
  }),
});

const CodeUnavailableReason = builder.enumType('CodeUnavailableReason', {
  description: 'Why the code of an execution cannot be shown.',
  values: {
    PRUNED: {
      description: '`cellhouse prune` or `cellhouse forget` deleted it.',
    },
    HIDDEN: {
      description: 'The caller is an auditor, and AUDITOR_SEES_CODE is off.',
    },
  } as const,
});

export const Execution = builder.objectRef<ExecutionRow>('Execution').implement({
  description: 'One run of code in a session.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'The id of the execution. Ids sort by time.' }),
    status: t.expose('status', { type: ExecutionStatus, description: 'Its present status.' }),
    language: t.expose('language', { type: Language, description: 'The language of its code.' }),
    userUuid: t.exposeString('userUuid', { description: 'The user.' }),
    timeoutMs: t.exposeInt('timeoutMs', {
      description: 'Its time limit in milliseconds, from when the code is sent to the kernel.',
    }),
    idempotencyKey: t.exposeString('idempotencyKey', {
      nullable: true,
      description: "The caller's idempotency key. Null if there was none.",
    }),
    workingDirectory: t.string({
      nullable: true,
      description: 'The `workingDirectory` of the call. Null if the call named none.',
      resolve: ({ options }) => options?.workingDirectory ?? null,
    }),
    environmentVariableNames: t.stringList({
      description:
        'The names of its own environment variables, in alphabetical order. No answer contains their values.',
      resolve: ({ options }) => [...(options?.environmentVariableNames ?? [])],
    }),
    executionCount: t.exposeInt('executionCount', {
      nullable: true,
      description:
        "The number of the cell: n in IPython's `In[n]`. Null until the cell begins, and for commands. A silent cell, once it has ended, has that of the last cell in the history.",
    }),
    stateLost: t.exposeBoolean('stateLost', {
      description:
        'Whether variables were lost. The causes: the kernel was replaced after this execution was accepted; this is the first execution after a replacement; or it is the first in a new session, and the last session ended without `release`. Always false for a command.',
    }),
    truncated: t.exposeBoolean('truncated', {
      description: 'Whether some of its output could not be kept. A GapOutput says why.',
    }),
    context: t.field({
      type: Context,
      nullable: true,
      description: 'The context in which it runs. Null for a command.',
      resolve: (execution, _args, context, info) => {
        const { sessionId, contextId } = execution;
        return isCommand(execution) ? null : context.answer(info).context(sessionId, contextId);
      },
    }),
    session: t.field({
      type: Session,
      description: 'The session in which it runs.',
      resolve: ({ sessionId }, _args, context, info) => requireSession(context, info, sessionId),
    }),
  }),
});

builder.objectFields(Execution, (t) => ({
  via: t.field({
    type: Door,
    nullable: true,
    description:
      'The interface through which it was requested. Null if its events were deleted, or are older than this field.',
    resolve: (execution, _args, context, info) => context.answer(info).via(execution),
  }),
  requestedAt: t.expose('requestedAt', { type: 'DateTime', description: 'When it was accepted.' }),
  startedAt: t.expose('startedAt', {
    type: 'DateTime',
    nullable: true,
    description: 'When it began to run. Null if it has not begun.',
  }),
  finishedAt: t.expose('finishedAt', {
    type: 'DateTime',
    nullable: true,
    description: 'When it ended. Null if it has not ended.',
  }),
  queuedMs: t.expose('queuedMs', {
    type: 'Int53',
    nullable: true,
    description:
      'Milliseconds from its acceptance to its start, or to its end if it never started. Null until it has ended.',
  }),
  durationMs: t.expose('runMs', {
    type: 'Int53',
    nullable: true,
    description:
      'Milliseconds from its start to its end. Null if it never started or has not ended.',
  }),
  cpuMs: t.expose('cpuMs', {
    type: 'Int53',
    nullable: true,
    description:
      'CPU time in milliseconds that its kernel or command, and all processes started by it, used during it. Null while it has not ended, and if its worker has not reported it, because it never started or its worker was lost.',
  }),
  peakMemoryBytes: t.expose('peakMemoryBytes', {
    type: 'Int53',
    nullable: true,
    description:
      'The highest measured memory use of its kernel or command and all processes started by it. Null as `cpuMs` is.',
  }),
  exitCode: t.exposeInt('exitCode', {
    nullable: true,
    description:
      'The exit code of a command. Null for a cell, until the command has ended, and if a signal ended it.',
  }),
  signal: t.exposeString('signal', {
    nullable: true,
    description: 'The signal that ended a command, such as SIGKILL. Otherwise null.',
  }),
  pid: t.exposeInt('pid', {
    nullable: true,
    description:
      "The id of a command's own process in its worker, once it has begun. Null for a cell, and if its worker is of an earlier release.",
  }),
  allowInput: t.boolean({
    description: 'Whether its code may wait for input.',
    resolve: ({ options }) => options?.allowInput === true,
  }),
  inputBytes: t.exposeInt('inputBytes', {
    description:
      'The number of input bytes that were sent to it, which is the offset of the next input.',
  }),
  outputBytes: t.expose('outputBytes', {
    type: 'Int53',
    description: 'Bytes of output that the code produced, including output that was not kept.',
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
      '`stdout` as a terminal would show it: text before a `clear_output` is gone, a progress bar is one line, and colours are removed. Null, with an error, if a text with control sequences has more than 1,048,576 characters.',
    resolve: (execution, _args, context, info) =>
      context.answer(info).assembled(execution, 'stdoutRendered'),
  }),
  resultText: t.string({
    nullable: true,
    description:
      '`stdout`, directly followed by the text/plain of the last result. Null if both are empty.',
    resolve: (execution, _args, context, info) =>
      context.answer(info).assembled(execution, 'resultText'),
  }),
  resultBase64: t.string({
    nullable: true,
    description: 'The last PNG that it showed, as base64 on one line. Null if there was none.',
    resolve: (execution, _args, context, info) =>
      context.answer(info).assembled(execution, 'resultBase64'),
  }),
}));

builder.objectFields(Execution, (t) => ({
  code: t.string({
    nullable: true,
    description:
      'The code, exactly as it was sent. Null if it cannot be shown: see `codeUnavailable`.',
    resolve: (execution, _args, context, info) => context.answer(info).code(execution),
  }),
  codeUnavailable: t.field({
    type: CodeUnavailableReason,
    nullable: true,
    description: 'Why `code` is null. Null if it is not.',
    resolve: (execution, _args, context, info) => context.answer(info).codeUnavailable(execution),
  }),
  codeSha256: t.string({
    nullable: true,
    description:
      'The SHA-256 of its code, in hexadecimal. Null if its user was forgotten (`cellhouse forget`).',
    resolve: ({ codeSha256 }) => codeSha256 || null,
  }),
  outputs: t.field({
    type: [OutputEvent],
    description: 'Its output events so far, in order, without ExecutionFinished.',
    args: {
      after: t.arg.int({
        defaultValue: 0,
        description: 'Only events with a larger `seq`. 0: from the first on.',
      }),
      first: t.arg.int({
        description:
          'The most events to return. Null: all of them. All outputs of one response may have MAX_RESPONSE_BYTES together; more is an error that says so. Fewer than `first` in the answer: there are no more so far.',
      }),
    },
    resolve: (execution, range, context, info) => context.answer(info).outputs(execution, range),
  }),
  files: t.field({
    type: ExecutionFiles,
    nullable: true,
    description:
      'Which files it changed in the home, as its worker reports. Null if it has not ended, if it never ran, or if its worker is older than this field.',
    resolve: async (execution, _args, context, info) => {
      const files = await context.answer(info).files(execution);
      return files === null ? null : { ...files, userUuid: execution.userUuid };
    },
  }),
  error: t.field({
    type: ExecutionError,
    nullable: true,
    description:
      'The exception that ended it, or how a command failed. Null unless the status is ERROR.',
    resolve: (execution, _args, context, info) => context.answer(info).error(execution),
  }),
}));

builder.objectField(ExecutionFinished, 'execution', (t) =>
  t.field({
    type: Execution,
    description: 'The finished execution.',
    resolve: ({ executionId }, _args, context) => executionById(context, executionId),
  }),
);

/** The execution, which is known to exist. @throws Error if it was deleted in this moment */
export async function executionById(
  { service, principal }: SchemaContext,
  id: string,
): Promise<ExecutionRow> {
  const execution = await service.execution(principal, id);
  if (!execution) throw new Error(`The execution ${id} does not exist.`);
  return execution;
}

// The lists of executions, and the query of one.

const ExecutionConnection = connectionOf('Execution', Execution);

const kindArgs = builder.args((t) => ({
  language: t.field({ type: Language, description: 'Only executions in this language.' }),
  statuses: t.field({
    type: [ExecutionStatus],
    description: 'Only executions with one of these statuses.',
  }),
}));

builder.objectField(Session, 'executions', (t) =>
  t.field({
    type: ExecutionConnection,
    description: 'The executions of the session, the last accepted first.',
    args: { ...kindArgs, ...pageArgs },
    resolve: ({ id: sessionId }, { first, after, ...filter }, context, info) =>
      context.answer(info).executions({ sessionId, contextId: null }, filter, { first, after }),
  }),
);

builder.objectField(Context, 'executions', (t) =>
  t.field({
    type: ExecutionConnection,
    description: 'The executions of the context, the last accepted first.',
    args: { ...kindArgs, ...pageArgs },
    resolve: ({ id: contextId, sessionId }, { first, after, ...filter }, context, info) =>
      context.answer(info).executions({ sessionId, contextId }, filter, { first, after }),
  }),
);

builder.queryFields((t) => ({
  execution: t.field({
    type: Execution,
    nullable: true,
    description: 'The execution with this id. Null if there is none.',
    args: { id: t.arg.id({ required: true, description: 'The id of the execution.' }) },
    resolve: (_root, { id }, { service, principal }) => service.execution(principal, id),
  }),
  executions: t.field({
    type: ExecutionConnection,
    description: 'Executions, the last accepted first.',
    args: {
      tenant: t.arg.string(TENANT_FILTER),
      userUuid: t.arg.string({ description: 'Only executions of this user.' }),
      sessionId: t.arg.id({ description: 'Only executions of this session.' }),
      contextId: t.arg.id({
        description:
          'Only executions of this context. The id of a default context is that of its session.',
      }),
      ...kindArgs,
      from: t.arg({
        type: 'DateTime',
        description: 'Only executions requested at this time or later.',
      }),
      to: t.arg({ type: 'DateTime', description: 'Only executions requested before this time.' }),
      metadata: t.arg({
        type: METADATA_FILTER,
        description: 'Only executions of sessions whose metadata contain all these entries.',
      }),
      ...pageArgs,
    },
    resolve: (_root, { first, after, metadata, ...filter }, { service, principal }) =>
      service.executions(
        principal,
        { ...filter, metadata: metadata && metadataOf(metadata) },
        { first, after },
      ),
  }),
}));
