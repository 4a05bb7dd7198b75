import type { HistoryQuestion, KernelQuestion } from '../../domain/kernelQuestion.ts';
import { refuse, validateWholeNumber } from '../validate.ts';

/** Far more than a cell of a notebook has. An agent accepts as many characters. */
const MAX_CODE_BYTES = 262_144;
const MAX_PATTERN_CHARS = 1_000;
const MAX_COUNT = 2 ** 31 - 1;

/** @throws BAD_USER_INPUT */
export function validateQuestion(question: KernelQuestion): void {
  if (question.type === 'history') {
    validateHistory(question);
    return;
  }
  const bytes = Buffer.byteLength(question.code);
  if (bytes > MAX_CODE_BYTES)
    refuse('code', `is ${bytes} bytes of UTF-8, at most ${MAX_CODE_BYTES} are allowed`, {
      limit: MAX_CODE_BYTES,
    });
  if (question.type === 'isComplete') return;
  const max = [...question.code].length;
  validateWholeNumber('cursor', question.cursor, { min: 0, max });
  if (question.type === 'inspect')
    validateWholeNumber('detail', question.detail, { min: 0, max: 1 });
}

function validateHistory({ pattern = '', ...numbers }: HistoryQuestion): void {
  if (pattern.length > MAX_PATTERN_CHARS)
    refuse(
      'pattern',
      `has ${pattern.length} characters, at most ${MAX_PATTERN_CHARS} are allowed`,
      {
        limit: MAX_PATTERN_CHARS,
      },
    );
  for (const name of ['count', 'start', 'stop', 'session'] as const) {
    const value = numbers[name];
    if (value !== undefined) validateWholeNumber(name, value, { min: -MAX_COUNT, max: MAX_COUNT });
  }
}
