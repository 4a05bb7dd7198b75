import { z } from 'zod';
import type { Terminal } from '../../../domain/executionOptions.ts';
import { operation, QUICK_TIMEOUT_MS } from '../operation.ts';

/** Resizes the terminal of a command. */
export const resize = operation({
  method: 'POST',
  timeoutMs: QUICK_TIMEOUT_MS,
  request: ({ msgId, columns, rows }: Terminal & { readonly msgId: string }) => ({
    msg_id: msgId,
    columns,
    rows,
  }),
  /** `known`: whether the command runs. */
  answer: z.object({ known: z.boolean() }),
});
