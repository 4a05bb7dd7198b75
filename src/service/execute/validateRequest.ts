/**
 * Checks a caller's request before anything is recorded or a worker is claimed. Each error names the field and the
 * limit.
 */
import { createHash } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import type { ContextId } from '../../domain/ids.ts';
import { parseContextId } from '../contexts/openContext.ts';
import {
  refuse,
  validateName,
  validateNumber,
  validateUserUuid,
  validateWait,
} from '../validate.ts';

const MAX_IDEMPOTENCY_KEY_CHARS = 256;
const MIN_TIMEOUT_MS = 1;

/** A caller's request. The configuration has the defaults of optional fields. */
export interface ExecuteRequest {
  readonly userUuid: string;
  readonly code: string;
  readonly contextId?: string | null | undefined;
  readonly timeoutMs?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
  readonly waitForWorkerMs?: number | null | undefined;
}

/** A validated request, with defaults filled in. */
export interface ValidRequest {
  readonly userUuid: string;
  readonly code: string;
  readonly codeSha256: string;
  readonly codeBytes: number;
  /** As the request names it. Null: the default context. */
  readonly contextId: ContextId | null;
  readonly timeoutMs: number;
  readonly idempotencyKey: string | null;
  readonly waitForWorkerMs: number;
}

/** @throws BAD_USER_INPUT; NOT_FOUND for a context that cannot exist */
export function validateRequest(request: ExecuteRequest, config: Config): ValidRequest {
  const userUuid = validateUserUuid(request.userUuid);
  const { code } = request;
  const codeBytes = Buffer.byteLength(code);
  if (code === '') refuse('code', 'must not be empty', { limit: 1 });
  if (codeBytes > config.maxCodeBytes) {
    refuse('code', `is ${codeBytes} bytes of UTF-8, at most ${config.maxCodeBytes} are allowed`, {
      limit: config.maxCodeBytes,
    });
  }
  return {
    userUuid,
    code,
    // Code with lone surrogates is hashed as JSON: in UTF-8, all lone surrogates look alike.
    codeSha256: createHash('sha256').update(hashable(code)).digest('hex'),
    codeBytes,
    contextId: parseContextId(request.contextId),
    timeoutMs: validateNumber('timeoutMs', request.timeoutMs ?? config.executionTimeoutMs, {
      min: MIN_TIMEOUT_MS,
      max: config.maxExecutionTimeoutMs,
    }),
    idempotencyKey: validateKey(request.idempotencyKey ?? null),
    waitForWorkerMs: validateWait(request.waitForWorkerMs, config),
  };
}

/** Whether the request has an idempotency key, so that sending it again runs nothing twice. */
export function hasKey({ idempotencyKey }: Pick<ExecuteRequest, 'idempotencyKey'>): boolean {
  return typeof idempotencyKey === 'string';
}

function validateKey(key: string | null): string | null {
  if (key === '') refuse('idempotencyKey', 'must not be empty; leave it out instead', {});
  if (key !== null) validateName('idempotencyKey', key, MAX_IDEMPOTENCY_KEY_CHARS);
  return key;
}

function hashable(code: string): string {
  return code.isWellFormed() ? code : JSON.stringify(code);
}
