/**
 * `ErrorCode`: every `extensions.code` of an error, and what to do about it. docs/use/errors.md is made from it. No field
 * has this type, because a refused call is an error of GraphQL; the schema has it, so that clients can read it there.
 */
import type { ErrorCode } from '../domain/errors.ts';
import { builder } from './builder.ts';

interface Advice {
  /** What has happened. Half a sentence, like `todo`. */
  readonly meaning: string;
  readonly todo: string;
  /** Whether the same call can succeed later. */
  readonly mayRetry: boolean;
}

/** In the order of docs/use/errors.md. The compiler reports a code without a row. */
export const ERROR_CODES: Readonly<Record<ErrorCode, Advice>> = {
  UNAUTHENTICATED: {
    meaning: 'the token is missing or wrong, has expired, or was revoked',
    todo: 'send a valid one; the gateway logs the path of AUTH_TOKEN',
    mayRetry: false,
  },
  FORBIDDEN: {
    meaning: "the token's role may not call this, or the token is for another door",
    todo: 'use a token with another role',
    mayRetry: false,
  },
  BAD_USER_INPUT: {
    meaning: 'the document or an input is invalid',
    todo: 'see the message and `extensions.field`',
    mayRetry: false,
  },
  NOT_FOUND: {
    meaning: 'the id in a mutation or subscription is unknown',
    todo: 'check the id',
    mayRetry: false,
  },
  IDEMPOTENCY_CONFLICT: {
    meaning:
      'this user already used the key for another request; `extensions.different` names the fields',
    todo: 'take a new key',
    mayRetry: false,
  },
  SESSION_ENDED: {
    meaning:
      "the user's last session had options, and ended by itself; `extensions` has `sessionId`, `closedAt` and `closeReason`",
    todo: '`openSession`, or `release`',
    mayRetry: false,
  },
  SESSION_OPTIONS_DIFFER: {
    meaning: "the user's open session has other options; `extensions.options` names them",
    todo: 'ask for the same options, or `release` first',
    mayRetry: false,
  },
  ENVIRONMENT_NOT_READY: {
    meaning: 'no version of the environment is ready: it is being built, or its build failed',
    todo: 'wait, if there is `retryAfterMs`; else create it again',
    mayRetry: true,
  },
  CONTEXT_LIMIT: {
    meaning: 'the session has `MAX_CONTEXTS` contexts beside its default one',
    todo: 'delete one',
    mayRetry: false,
  },
  CONTEXT_FAILED: {
    meaning:
      "no kernel of the new context could be started: the worker's processes or memory are used up",
    todo: 'end what uses them, then create it again',
    mayRetry: false,
  },
  INPUT_OUT_OF_ORDER: {
    meaning:
      'input before this is missing, or other input has this offset; `extensions.expectedOffset` is where the input ends',
    todo: 'send what is missing, or go on from there',
    mayRetry: false,
  },
  INPUT_CLOSED: {
    meaning: 'the execution or its input has ended',
    todo: 'send none',
    mayRetry: false,
  },
  INPUT_LIMIT: {
    meaning: 'the execution would have more than `MAX_INPUT_BYTES` of input',
    todo: 'send less, or put it into a file',
    mayRetry: false,
  },
  QUEUE_FULL: {
    meaning:
      '`MAX_QUEUED_EXECUTIONS` of the context, or commands of the session, are waiting; or 256 calls with input for one execution',
    todo: 'wait until some have finished',
    mayRetry: true,
  },
  POOL_EXHAUSTED: {
    meaning: 'no worker became free in time',
    todo: 'release sessions, or raise `MAX_TOTAL_WORKERS`',
    mayRetry: true,
  },
  POOL_INITIALIZING: {
    meaning:
      'the gateway has just started, or a `restartKernel` or `deleteContext` took longer than 30 s',
    todo: 'wait for `/readyz`',
    mayRetry: true,
  },
  WORKER_START_FAILED: {
    meaning: 'no container can be made',
    todo: "see the gateway's log and `/readyz`",
    mayRetry: true,
  },
  DATABASE_UNAVAILABLE: {
    meaning: 'PostgreSQL did not answer in time',
    todo: 'repeat the call, with the same `idempotencyKey`',
    mayRetry: true,
  },
  QUOTA_EXCEEDED: {
    meaning:
      'a quota of the tenant or the user has no room, and `extensions.quota` names it; or the WebSocket has more than 256 operations; or there are `MAX_TOKENS` tokens',
    todo: 'wait, if there is `retryAfterMs`; open another connection; revoke tokens',
    mayRetry: true,
  },
  FILE_NOT_FOUND: {
    meaning: 'there is no file or folder at this path',
    todo: 'check the path',
    mayRetry: false,
  },
  FILE_ACCESS_DENIED: {
    meaning: "Linux forbids it to the session's user",
    todo: 'write below the home or `/tmp`',
    mayRetry: false,
  },
  IS_A_DIRECTORY: {
    meaning: 'the path is a folder, and a file is wanted',
    todo: 'name a file; over HTTP, `?archive=tar` gets a folder',
    mayRetry: false,
  },
  NOT_A_DIRECTORY: {
    meaning: 'something on the path is no folder',
    todo: 'check the path',
    mayRetry: false,
  },
  NOT_A_FILE: {
    meaning: 'it is a pipe, a socket or a device',
    todo: 'delete it, or leave it alone',
    mayRetry: false,
  },
  FILE_EXISTS: {
    meaning: 'something has the new name already',
    todo: '`overwrite: true`, or another name',
    mayRetry: false,
  },
  FILE_TOO_LARGE: {
    meaning: 'the content is above `extensions.limit`',
    todo: 'use HTTP, or raise the setting that the message names',
    mayRetry: false,
  },
  NO_SPACE: {
    meaning:
      "the worker's disk (`WORKER_DISK_MB`) is full; each file has its old or its new content, and an archive may be extracted in part",
    todo: 'delete files',
    mayRetry: false,
  },
  PRECONDITION_FAILED: {
    meaning:
      'the file is not in the version of `If-Match` or `ifMatch`, or is that of `If-None-Match`',
    todo: 'read it again',
    mayRetry: false,
  },
  FILE_TIMEOUT: {
    meaning: 'nothing moved for too long: 60 s of an upload',
    todo: 'send faster',
    mayRetry: true,
  },
  FILES_BUSY: {
    meaning: 'too many files are read and written at once, by the gateway or in the worker',
    todo: 'try again',
    mayRetry: true,
  },
  FILES_UNAVAILABLE: {
    meaning: "the session's worker did not answer; a change may have happened or not",
    todo: 'look, then repeat',
    mayRetry: true,
  },
  SHUTTING_DOWN: {
    meaning: 'the gateway is stopping',
    todo: 'repeat the call, unless `extensions.accepted` is true',
    mayRetry: true,
  },
  INTERNAL: {
    meaning: 'a defect; the log has `extensions.errorId`',
    todo: 'report it',
    mayRetry: false,
  },
};

const values: Record<string, { readonly description: string }> = {};
for (const [code, { meaning, todo, mayRetry }] of Object.entries(ERROR_CODES))
  values[code] = {
    description: `${sentence(meaning)} What to do: ${todo}.${mayRetry ? ' The same call can succeed later.' : ''}`,
  };

builder.enumType('ErrorCode', {
  description:
    'The `extensions.code` of an error: why a call was refused. Codes are stable, and new ones can be added.',
  values,
});

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
