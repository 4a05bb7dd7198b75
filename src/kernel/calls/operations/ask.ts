import { z } from 'zod';
import type { AskedKernel, KernelAnswer, KernelQuestion } from '../../../domain/kernelQuestion.ts';
import { operation } from '../operation.ts';

/** A little more than the time that the agent gives its kernel. */
const ASK_TIMEOUT_MS = 2_000;
/** The agent's limits are 131,072 bytes of text and 1,000 texts. JSON takes at most six bytes for a byte of text. */
const MAX_ANSWER_BYTES = 1_048_576;
const MAX_ITEMS = 1_000;
const MAX_INDENT_CHARS = 256;
const MAX_DATA_TYPES = 2;

/** Asks an idle kernel. The answer is null if the kernel is busy, or if its answer is late or malformed. */
export const ask = operation({
  method: 'POST',
  timeoutMs: ASK_TIMEOUT_MS,
  maxAnswerBytes: MAX_ANSWER_BYTES,
  request: ({ contextId, question }: AskedKernel) => ({
    ...(contextId !== null && { context_id: contextId }),
    ...asJupyter(question),
  }),
  answer: z.object({ answer: z.unknown() }),
});

/** The type and the content of Jupyter's message. */
function asJupyter(question: KernelQuestion) {
  switch (question.type) {
    case 'complete':
      return {
        msg_type: 'complete_request',
        content: { code: question.code, cursor_pos: question.cursor },
      };
    case 'inspect': {
      const { code, cursor, detail } = question;
      return {
        msg_type: 'inspect_request',
        content: { code, cursor_pos: cursor, detail_level: detail },
      };
    }
    case 'isComplete':
      return { msg_type: 'is_complete_request', content: { code: question.code } };
    case 'history': {
      const { type: _, access, count, ...content } = question;
      return {
        msg_type: 'history_request',
        content: { ...content, hist_access_type: access, ...(count !== undefined && { n: count }) },
      };
    }
    default:
      return question satisfies never;
  }
}

const line = z.number().int().nonnegative();

const answers = {
  complete: z
    .object({
      matches: z.array(z.string()).max(MAX_ITEMS),
      cursor_start: line,
      cursor_end: line,
    })
    .transform(({ matches, cursor_start: cursorStart, cursor_end: cursorEnd }) => ({
      type: 'complete' as const,
      matches,
      cursorStart,
      cursorEnd,
    })),
  inspect: z
    .object({ found: z.boolean(), data: z.record(z.string(), z.string()) })
    .refine(({ data }) => Object.keys(data).length <= MAX_DATA_TYPES)
    .transform((answer) => ({ type: 'inspect' as const, ...answer })),
  isComplete: z
    .object({
      status: z.enum(['complete', 'incomplete', 'invalid', 'unknown']),
      indent: z.string().max(MAX_INDENT_CHARS),
    })
    .transform((answer) => ({ type: 'isComplete' as const, ...answer })),
  history: z
    .object({
      entries: z
        .array(
          z.object({
            session: line,
            line,
            input: z.string(),
            output: z.string().nullable(),
          }),
        )
        .max(MAX_ITEMS),
    })
    .transform((answer) => ({ type: 'history' as const, ...answer })),
} satisfies Record<KernelQuestion['type'], z.ZodType<KernelAnswer>>;

/** Reads the answer to this question from the agent's JSON. Null if it holds no valid answer. */
export function readAnswer(question: KernelQuestion, said: unknown): KernelAnswer | null {
  const { data } = answers[question.type].safeParse(said);
  if (!data) return null;
  const end = data.type === 'complete' && 'code' in question ? [...question.code].length : 0;
  const fits =
    data.type !== 'complete' || (data.cursorStart <= data.cursorEnd && data.cursorEnd <= end);
  return fits ? data : null;
}
