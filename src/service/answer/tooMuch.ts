/** What is said of an answer that would be larger than MAX_RESPONSE_BYTES. */
import { DomainError } from '../../domain/errors.ts';

export interface OutputAdvice {
  /** How this wire gives an execution's output in parts; goes on from "Ask ". */
  readonly inParts: string;
}

/** What the answer would have to tell. */
export type Piece = { readonly field: string } & (
  | { readonly executionId: string }
  | { readonly eventId: string }
);

export function tooLarge(piece: Piece, limit: number, { inParts }: OutputAdvice): DomainError {
  const [ofWhat, ask] =
    'eventId' in piece
      ? [`event ${piece.eventId}`, 'for fewer events at once (`first`)']
      : [`execution ${piece.executionId}`, inParts];
  return new DomainError(
    'BAD_USER_INPUT',
    `The response would be larger than ${limit} bytes (MAX_RESPONSE_BYTES) with \`${piece.field}\` of ${ofWhat}. Ask ${ask}.`,
    { ...piece, limit },
  );
}

/** What was asked for at once is read up to the limit, whole executions only; this one is the first beyond it, or behind that. */
export function tooManyAtOnce(
  executionId: string,
  field: 'code' | 'outputs',
  limit: number,
  { inParts }: OutputAdvice,
): DomainError {
  const alone = field === 'outputs' ? `, ${inParts}` : '';
  return new DomainError(
    'BAD_USER_INPUT',
    `The \`${field}\` of execution ${executionId}, with those of the executions before it in this answer, are more than ${limit} bytes (MAX_RESPONSE_BYTES). ` +
      `Ask for fewer executions at once (\`first\`)${alone}.`,
    { field, limit, executionId },
  );
}
