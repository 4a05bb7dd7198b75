/** The result of code, as a tool returns it: a text that is complete by itself, images, and the same facts as data. */
import type { CallToolResult } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Execution } from '../../../domain/execution.ts';
import type { Collected } from './collect.ts';
import { type KeptText, MAX_RESULT_CHARS, shares } from './keptText.ts';
import { outputUri } from './outputUris.ts';

const STATUSES = {
  QUEUED: 'queued',
  RUNNING: 'running',
  OK: 'ok',
  ERROR: 'error',
  TIMEOUT: 'timeout',
  INTERRUPTED: 'interrupted',
  CANCELLED: 'cancelled',
  WORKER_LOST: 'worker_lost',
} as const satisfies Record<Execution['status'], string>;

/** What `structuredContent` has, for every status. */
export const RESULT = z.object({
  session_id: z
    .string()
    .nullable()
    .describe('Pass it to the next call to find variables and files again.'),
  execution_id: z.string(),
  status: z.enum(STATUSES),
  stdout: z.string().describe('What was printed, and texts that were displayed.'),
  stderr: z.string(),
  result: z.string().nullable().describe('The value of the last expression.'),
  error: z
    .object({ name: z.string(), message: z.string(), traceback: z.string() })
    .nullable()
    .describe('The exception that ended the code.'),
  exit_code: z.number().int().nullable().describe('Of a shell command that has exited.'),
  images: z.number().int().describe('How many images the code has shown.'),
  truncated: z.boolean().describe('Whether output is missing here.'),
  state_lost: z.boolean().describe('Whether variables of earlier calls are gone.'),
  next_seq: z.number().int().describe('Pass it as after_seq to get only what follows.'),
  duration_ms: z.number().int().nullable().describe('How long it has run. Null: not begun.'),
});
type Result = z.infer<typeof RESULT>;

export interface Ran {
  readonly execution: Execution;
  readonly collected: Collected;
  /** The id by which the client knows the session. Null: there is no id that the client can pass. */
  readonly sessionId: string | null;
  /** Whether the client knows links to resources. */
  readonly knowsLinks: boolean;
  readonly now: Date;
}

/** A result of code that failed or was stopped is an error for the host. It contains what the code printed before. */
export function resultOf(ran: Ran): CallToolResult {
  const { collected, execution } = ran;
  const data = dataOf(ran);
  const isError = data.status !== 'ok' && execution.finishedAt !== null;
  return {
    content: [
      { type: 'text', text: textOf(data, collected) },
      ...collected.images.map(({ data, mimeType }) => ({ type: 'image' as const, data, mimeType })),
      ...(ran.knowsLinks ? links(data) : []),
    ],
    structuredContent: data,
    isError,
  };
}

function dataOf({ execution, collected, sessionId, now }: Ran): Result {
  const { stdout, stderr, result, error, imageCount, missing, lastSeq } = collected;
  const texts = [stdout, stderr, result, error?.traceback ?? null];
  const lengths = texts.map((text) => text?.chars ?? 0);
  const limits = shares(lengths, MAX_RESULT_CHARS);
  const cut = (text: KeptText | null, index: number) => text?.cutTo(limits[index] ?? 0) ?? null;
  const [out, err, value, traceback] = texts.map(cut);
  return {
    session_id: sessionId,
    execution_id: execution.id,
    status: STATUSES[execution.status],
    stdout: out ?? '',
    stderr: err ?? '',
    result: value ?? null,
    error: error && { name: error.name, message: error.message, traceback: traceback ?? '' },
    exit_code: execution.exitCode,
    images: imageCount,
    truncated:
      execution.truncated ||
      missing.length > 0 ||
      lengths.some((length, index) => length > (limits[index] ?? 0)),
    state_lost: execution.stateLost,
    next_seq: lastSeq,
    duration_ms: durationOf(execution, now),
  };
}

function durationOf({ runMs, startedAt, finishedAt }: Execution, now: Date): number | null {
  if (finishedAt !== null || startedAt === null) return runMs;
  return Math.max(0, now.getTime() - startedAt.getTime());
}

/** The text contains everything that the data contain, because older hosts show only the text. */
function textOf(data: Result, { missing }: Collected): string {
  const parts = [
    data.stdout,
    data.stderr && `stderr:\n${data.stderr}`,
    data.result ?? '',
    data.error?.traceback ?? '',
    ...missing.map((what) => `[${what}]`),
    ...notes(data),
  ].filter((part) => part !== '');
  return parts.map((part) => (part.endsWith('\n') ? part : `${part}\n`)).join('') + lastLine(data);
}

function lastLine({ session_id, execution_id, status, exit_code }: Result): string {
  const exit = exit_code === null ? '' : ` exit_code=${exit_code}`;
  const session = session_id === null ? '' : `session_id=${session_id} `;
  return `${session}execution_id=${execution_id} status=${status}${exit}`;
}

function notes(data: Result): string[] {
  const whole = data.truncated
    ? [`[The whole output is the resource ${outputUri(data.execution_id)}]`]
    : [];
  const lost = data.state_lost ? ['[Variables and imports of earlier calls are gone.]'] : [];
  return [...whole, ...ending(data), ...lost];
}

function ending({ status, execution_id, stdout, stderr, result, images }: Result): string[] {
  switch (status) {
    case 'ok':
      return stdout || stderr || result || images > 0 ? [] : ['(no output)'];
    case 'error':
      return [];
    case 'queued':
    case 'running':
      return [
        `[Not ended yet; it goes on. Call get_execution with execution_id="${execution_id}" to wait for its end.]`,
      ];
    case 'timeout':
      return ['[It reached its time limit and was stopped.]'];
    case 'interrupted':
      return ['[It was interrupted.]'];
    case 'cancelled':
      return ['[It was cancelled before it began. Nothing of it has run.]'];
    case 'worker_lost':
      return ['[Its worker is gone. How much of it has run is not known.]'];
    default:
      return status satisfies never;
  }
}

function links({ truncated, execution_id }: Result): CallToolResult['content'] {
  if (!truncated) return [];
  return [
    {
      type: 'resource_link',
      uri: outputUri(execution_id),
      name: 'output',
      description: 'The whole text of the output.',
      mimeType: 'text/plain',
    },
  ];
}
