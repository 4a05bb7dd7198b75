/** The errors that a host gets for requests that no gateway has answered. */
import { SdkHttpError } from '@modelcontextprotocol/client';
import { z } from 'zod';
import { messageOf } from '../../domain/errors.ts';

/** The error of an answer in JSON-RPC. */
export interface Failure {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** None of the protocol's own codes fits. */
const SERVER_ERROR = -32_000;
/** The error codes that say that no connection was made, so nothing was sent. */
const NOT_SENT = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'];
const UNKNOWN_EFFECT = 'Whether the call had an effect is not known.';
const REFUSAL = z.object({
  error: z.object({ code: z.number().int(), message: z.string(), data: z.unknown() }),
});

/** For a request whose answer ended before its result. */
export function cutOff(): Failure {
  return failure(`The gateway closed the connection before it answered. ${UNKNOWN_EFFECT}`);
}

/** For a request that the HTTP transport could not complete. @param error what it threw */
export function failureOf(error: unknown): Failure {
  if (error instanceof SdkHttpError) return mcpFailureOf(error);
  const { cause } = error as { cause?: { code?: unknown; message?: unknown } };
  const code = String(cause?.code ?? '');
  if (NOT_SENT.includes(code)) return failure(`The gateway cannot be reached (${code}).`);
  const what = cause === undefined ? messageOf(error) : messageOf(cause);
  return failure(`The connection to the gateway failed (${what}). ${UNKNOWN_EFFECT}`);
}

/** The gateway's own error, if a gateway has answered. */
function mcpFailureOf({ status, data: { text } }: SdkHttpError): Failure {
  const refusal = REFUSAL.safeParse(parsed(text));
  if (refusal.success) return refusal.data.error;
  return failure(`What answers at this address is no gateway: HTTP ${status}.`);
}

function parsed(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    return null;
  }
}

function failure(message: string): Failure {
  return { code: SERVER_ERROR, message };
}
