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
    todo: 'send a valid token; the gateway logs where the file with AUTH_TOKEN is',
    mayRetry: false,
  },
  FORBIDDEN: {
    meaning: "the token's role may not call this, or the token is for another interface",
    todo: 'use another token',
    mayRetry: false,
  },
  BAD_USER_INPUT: {
    meaning: 'the document or an input is invalid',
    todo: 'read the message and `extensions.field`',
    mayRetry: false,
  },
  NOT_FOUND: {
    meaning: 'the id is unknown, or the user has no open session whose files could be read',
    todo: 'check the id, or write a file first',
    mayRetry: false,
  },
  IDEMPOTENCY_CONFLICT: {
    meaning:
      'this user already used the key for another request; `extensions.different` names the fields that differ',
    todo: 'take a new key',
    mayRetry: false,
  },
  SESSION_ENDED: {
    meaning:
      "the user's last session had options, and ended without `release`; `extensions` has `sessionId`, `closedAt` and `closeReason`",
    todo: 'call `openSession` for a new session with options, or `release` to go on without options',
    mayRetry: false,
  },
  SESSION_OPTIONS_DIFFER: {
    meaning:
      "the user's open session has other options; `extensions.options` names those that differ",
    todo: 'send the same options, or call `release` first',
    mayRetry: false,
  },
  ENVIRONMENT_NOT_READY: {
    meaning: 'no version of the environment is ready: it is being built, or its build failed',
    todo: 'if there is `retryAfterMs`, wait; otherwise, create the environment again',
    mayRetry: true,
  },
  CONTEXT_LIMIT: {
    meaning: 'the session has `MAX_CONTEXTS` contexts beside its default one',
    todo: 'delete a context',
    mayRetry: false,
  },
  CONTEXT_FAILED: {
    meaning:
      "no kernel could be started for the new context, because the worker's processes or memory are used up",
    todo: 'end other code of the session, then create the context again',
    mayRetry: false,
  },
  INPUT_OUT_OF_ORDER: {
    meaning:
      'earlier input is missing, or other input has this offset; `extensions.expectedOffset` is the offset of the next input',
    todo: 'send the missing input, or go on at `expectedOffset`',
    mayRetry: false,
  },
  INPUT_CLOSED: {
    meaning: 'the execution or its input has ended',
    todo: 'send no more input',
    mayRetry: false,
  },
  INPUT_LIMIT: {
    meaning: 'the execution would have more than `MAX_INPUT_BYTES` of input',
    todo: 'send less input, or use a file',
    mayRetry: false,
  },
  QUEUE_FULL: {
    meaning:
      '`MAX_QUEUED_EXECUTIONS` executions wait in the context, or as many commands in the session; or 256 calls with input wait for one execution',
    todo: 'wait until some have finished',
    mayRetry: true,
  },
  POOL_EXHAUSTED: {
    meaning: 'no worker became free in time',
    todo: 'try again later: other sessions use all workers. An operator can release sessions, or raise `MAX_TOTAL_WORKERS`',
    mayRetry: true,
  },
  POOL_INITIALIZING: {
    meaning:
      'the gateway or the worker is not ready yet: it has just started, or has not answered for 30 s',
    todo: 'repeat the call when `/readyz` answers 200',
    mayRetry: true,
  },
  WORKER_START_FAILED: {
    meaning: 'no container could be started',
    todo: "read the gateway's log and `/readyz`",
    mayRetry: true,
  },
  DATABASE_UNAVAILABLE: {
    meaning: 'PostgreSQL did not answer in time',
    todo: 'repeat the call, with the same `idempotencyKey`',
    mayRetry: true,
  },
  QUOTA_EXCEEDED: {
    meaning:
      'a quota of the tenant or user is used up (`extensions.quota` names it), the WebSocket has more than 256 operations, or there are `MAX_TOKENS` tokens',
    todo: 'for a quota, wait if there is `retryAfterMs`; for operations, open another connection; for tokens, revoke some',
    mayRetry: true,
  },
  FILE_NOT_FOUND: {
    meaning: 'there is no file or folder at this path',
    todo: 'check the path',
    mayRetry: false,
  },
  FILE_ACCESS_DENIED: {
    meaning: "Linux does not allow the session's user this access",
    todo: 'write below the home or `/tmp`',
    mayRetry: false,
  },
  IS_A_DIRECTORY: {
    meaning: 'the path is a folder, but the call needs a file',
    todo: 'name a file; over HTTP, `?archive=tar` gets a folder',
    mayRetry: false,
  },
  NOT_A_DIRECTORY: {
    meaning: 'a part of the path is not a folder',
    todo: 'check the path',
    mayRetry: false,
  },
  NOT_A_FILE: {
    meaning: 'the path is a pipe, a socket or a device',
    todo: 'use another path',
    mayRetry: false,
  },
  FILE_EXISTS: {
    meaning: 'something exists at the new path',
    todo: 'set `overwrite: true`, or use another path',
    mayRetry: false,
  },
  FILE_TOO_LARGE: {
    meaning: 'the content is larger than `extensions.limit`',
    todo: 'use HTTP, or raise the setting that the message names',
    mayRetry: false,
  },
  NO_SPACE: {
    meaning:
      "the worker's disk (`WORKER_DISK_MB`) is full; each file has its old or its new content, but an archive may be unpacked in part",
    todo: 'delete files',
    mayRetry: false,
  },
  PRECONDITION_FAILED: {
    meaning:
      'the file does not have the version of `If-Match` or `ifMatch`, or it has the version of `If-None-Match`',
    todo: 'read the file again',
    mayRetry: false,
  },
  FILE_TIMEOUT: {
    meaning: 'no data arrived for too long (in an upload, for 60 s), or the worker took too long',
    todo: 'send faster, or repeat the call',
    mayRetry: true,
  },
  FILES_BUSY: {
    meaning: 'the gateway or the worker reads and writes too many files at once',
    todo: 'repeat the call',
    mayRetry: true,
  },
  FILES_UNAVAILABLE: {
    meaning: "the session's worker did not answer, so a change may or may not have happened",
    todo: 'look at the file, then repeat the call',
    mayRetry: true,
  },
  SHUTTING_DOWN: {
    meaning: 'the gateway is stopping',
    todo: 'repeat the call, unless `extensions.accepted` is true',
    mayRetry: true,
  },
  INTERNAL: {
    meaning: 'the gateway has a defect; its log explains `extensions.errorId`',
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
