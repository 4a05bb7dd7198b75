/** What a tool answers when it fails. */
import {
  type CallToolResult,
  ProtocolError,
  ProtocolErrorCode,
} from '@modelcontextprotocol/server';
import { DomainError } from '../../domain/errors.ts';
import type { DoorDeps } from '../openDoor.ts';

/**
 * The answer of `work`. A failure is a result with `isError` and a text, not an error of JSON-RPC: hosts show that to no
 * model. What is no expected error is logged once, and the text has only the id under which it is logged.
 */
export async function orError(
  { logger, newId }: Pick<DoorDeps, 'logger' | 'newId'>,
  tool: string,
  work: () => Promise<CallToolResult>,
): Promise<CallToolResult> {
  try {
    return await work();
  } catch (error: unknown) {
    if (error instanceof DomainError) return failed(textOf(error));
    const errorId = newId();
    logger.error({ err: error, errorId, tool }, 'A tool failed.');
    return failed(
      `INTERNAL: Internal error ${errorId}. Whether the call had an effect is not known.`,
    );
  }
}

/**
 * The same for a resource, whose failures are errors of JSON-RPC: the server would send the message of any error.
 * @throws ProtocolError
 */
export async function orMasked<T>(
  { logger, newId }: Pick<DoorDeps, 'logger' | 'newId'>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error: unknown) {
    if (error instanceof ProtocolError) throw error;
    if (error instanceof DomainError)
      throw new ProtocolError(ProtocolErrorCode.InternalError, textOf(error));
    const errorId = newId();
    logger.error({ err: error, errorId }, 'Reading a resource failed.');
    throw new ProtocolError(ProtocolErrorCode.InternalError, `Internal error ${errorId}`);
  }
}

/** A failure that the model can do something about. */
export function failed(text: string): CallToolResult {
  return { content: [{ type: 'text', text }], isError: true };
}

function textOf({ code, message, details }: DomainError): string {
  const { retryAfterMs } = details;
  const retry =
    typeof retryAfterMs === 'number'
      ? ` Try again in ${Math.max(1, Math.ceil(retryAfterMs / 1_000))} s.`
      : '';
  return `${code}: ${message}${retry}`;
}
