/** What a tool answers when it fails. */
import {
  type CallToolResult,
  ProtocolError,
  ProtocolErrorCode,
} from '@modelcontextprotocol/server';
import { DomainError } from '../../domain/errors.ts';
import { secondsToRetry } from '../../service/refusal.ts';
import type { DoorDeps } from '../openDoor.ts';

/**
 * The answer of `work`. A failure becomes a result with `isError` and a text, not a JSON-RPC error, because hosts do
 * not show JSON-RPC errors to a model. An unexpected error is logged once, and the text contains only the id of the log
 * entry.
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
 * The same for a resource, whose failures are JSON-RPC errors. An unexpected error is masked, because the server would
 * send its message to the client.
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

function textOf(error: DomainError): string {
  const seconds = secondsToRetry(error);
  const retry = seconds === null ? '' : ` Try again in ${seconds} s.`;
  return `${error.code}: ${error.message}${retry}`;
}
