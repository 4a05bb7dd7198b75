import type { UserExpression } from '../../domain/userExpressions.ts';
import { refuse, validateName } from '../validate.ts';

/** The agent has the same limits. */
const MAX_EXPRESSIONS = 64;
const MAX_NAME_CHARS = 128;

/** @throws BAD_USER_INPUT for too many expressions, and for names that are empty, too long or not unique */
export function validateExpressions(
  expressions: readonly UserExpression[],
): readonly UserExpression[] {
  if (expressions.length > MAX_EXPRESSIONS)
    refuse(
      'userExpressions',
      `has ${expressions.length} entries, at most ${MAX_EXPRESSIONS} are allowed`,
      {
        limit: MAX_EXPRESSIONS,
      },
    );
  const names = new Set<string>();
  for (const { name } of expressions) {
    if (name === '') refuse('userExpressions.name', 'must not be empty', {});
    validateName('userExpressions.name', name, MAX_NAME_CHARS);
    if (names.has(name)) refuse('userExpressions.name', `${JSON.stringify(name)} occurs twice`, {});
    names.add(name);
  }
  return expressions.map(({ name, code }) => ({ name, code }));
}

/** How many bytes the expressions add to the size of the code. */
export function bytesOfExpressions(expressions: readonly UserExpression[]): number {
  return expressions.reduce(
    (sum, { name, code }) => sum + Buffer.byteLength(name) + Buffer.byteLength(code),
    0,
  );
}
