/** The errors for an answer that would be larger than MAX_RESPONSE_BYTES. */
import { DomainError } from '../../domain/errors.ts';
import { quoted } from '../../domain/text.ts';

export interface OutputAdvice {
  /** How to get an execution's output in parts over this protocol. Continues a sentence that begins with "Ask ". */
  readonly inParts: string;
}

/** The part of the answer that does not fit. */
export type Piece = { readonly field: string } & (
  | { readonly executionId: string }
  | { readonly eventId: string }
  | { readonly path: string }
);

export function tooLarge(piece: Piece, limit: number, { inParts }: OutputAdvice): DomainError {
  const [ofWhat, ask] = whatAndHow(piece, inParts);
  return new DomainError(
    'BAD_USER_INPUT',
    `The response would be larger than ${limit} bytes (MAX_RESPONSE_BYTES) with \`${piece.field}\` of ${ofWhat}. Ask ${ask}.`,
    { ...piece, limit },
  );
}

function whatAndHow(piece: Piece, inParts: string): [string, string] {
  if ('eventId' in piece) return [`event ${piece.eventId}`, 'for fewer events at once (`first`)'];
  if ('path' in piece) return [`file ${quoted(piece.path)}`, 'for fewer files at once (`first`)'];
  return [`execution ${piece.executionId}`, inParts];
}

/**
 * The error for an execution beyond the limit of a combined read. Such a read takes whole executions up to the limit;
 * this one is the first that does not fit, or comes after it.
 */
export function tooManyAtOnce(
  executionId: string,
  field: 'code' | 'outputs',
  limit: number,
  { inParts }: OutputAdvice,
): DomainError {
  const alone = field === 'outputs' ? `, ${inParts}` : '';
  return new DomainError(
    'BAD_USER_INPUT',
    `The \`${field}\` of execution ${executionId}, together with those of the executions before it in this answer, would be larger than ${limit} bytes (MAX_RESPONSE_BYTES). ` +
      `Ask for fewer executions at once (\`first\`)${alone}.`,
    { field, limit, executionId },
  );
}
