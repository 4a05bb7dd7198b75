/** Every call that a gateway can make to an agent. The agent's own table is `cellhouse_agent/gateway/operations.py`. */
import { z } from 'zod';
import type { InterruptSignal } from '../../domain/execution.ts';
import type { Terminal } from '../../domain/executionOptions.ts';
import type {
  AskedKernel,
  KernelAnswer,
  KernelFacts,
  KernelQuestion,
} from '../../domain/kernelQuestion.ts';

/** Time limit of an operation that the agent answers from memory. */
const QUICK_TIMEOUT_MS = 5_000;
/**
 * Time limit of an operation that starts or ends a kernel. An unforked kernel takes seconds to start on a busy machine.
 */
const KERNEL_TIMEOUT_MS = 30_000;

/**
 * One operation that a gateway may request from an agent over HTTP (worker-protocol.md, "Operations"). Its key in
 * {@link AGENT_OPERATIONS} is its name and its path (docs/decisions/0020-worker-operations-are-rows.md). Operations on
 * files stream bytes, so they are not here but in `../files/createWorkerFiles.ts`.
 */
export interface Operation<Input, Answer> {
  /**
   * A GET only reads: it has no fields, and the agent does not check its epoch. The agent accepts a POST only under the
   * highest epoch that it has seen.
   */
  readonly method: 'GET' | 'POST';
  /** Limit from dialling to the last byte of the answer. */
  readonly timeoutMs: number;
  /** Left out: 64 KiB, enough for an answer of a few short fields. */
  readonly maxAnswerBytes?: number;
  /** The fields of the request, under the names of the protocol. The epoch is not among them. */
  readonly request: (input: Input) => Readonly<Record<string, unknown>>;
  readonly answer: z.ZodType<Answer>;
}

/** Returns `row` unchanged, so that TypeScript infers its types. */
function operation<Input, Answer>(row: Operation<Input, Answer>): Operation<Input, Answer> {
  return row;
}

/** A GET has no input. */
type NoInput = Readonly<Record<string, never>>;

/** The longest text about a kernel. The agent has the same limit. */
const MAX_FACT_CHARS = 1_000;
const fact = z.string().max(MAX_FACT_CHARS);

const kernelFacts = z
  .object({
    protocol_version: fact,
    implementation: fact,
    implementation_version: fact,
    banner: fact,
    language: z.object({
      name: fact,
      version: fact,
      mimetype: fact,
      file_extension: fact,
      pygments_lexer: fact,
      nbconvert_exporter: fact,
    }),
  })
  .transform(
    ({
      protocol_version,
      implementation,
      implementation_version,
      banner,
      language,
    }): KernelFacts => ({
      protocolVersion: protocol_version,
      implementation,
      implementationVersion: implementation_version,
      banner,
      language: {
        name: language.name,
        version: language.version,
        mimetype: language.mimetype,
        fileExtension: language.file_extension,
        pygmentsLexer: language.pygments_lexer,
        nbconvertExporter: language.nbconvert_exporter,
      },
    }),
  );

/** Whether the agent is alive, and the state of its kernel. */
const health = operation({
  method: 'GET',
  timeoutMs: QUICK_TIMEOUT_MS,
  request: (_: NoInput) => ({}),
  answer: z
    .object({
      status: z.literal('ok'),
      boot_id: z.string(),
      kernel: z.enum(['idle', 'busy', 'restarting']),
      /** The agent's features that older agents lack. */
      features: z.array(z.string()),
      kernel_info: kernelFacts.nullable().catch(null),
    })
    .transform(({ boot_id: bootId, kernel, features, kernel_info: kernelInfo }) => ({
      bootId,
      kernel,
      features,
      kernelInfo,
    })),
});

interface MakeContext {
  readonly contextId: string;
  /** The absolute path of the folder in which the context's kernels start. Null: the home folder. */
  readonly workingDirectory: string | null;
}

/** Creates a context, unless it exists. The agent answers when the context's kernel is ready. */
const contexts = operation({
  method: 'POST',
  timeoutMs: KERNEL_TIMEOUT_MS,
  request: ({ contextId, workingDirectory }: MakeContext) => ({
    context_id: contextId,
    working_directory: workingDirectory,
  }),
  answer: z
    .object({ kernel_generation: z.number() })
    .transform(({ kernel_generation: kernelGeneration }) => ({ kernelGeneration })),
});

interface Restart {
  /** A request with the same id makes only one kernel, however often it is sent. */
  readonly requestId: string;
  /** Left out: the default context. */
  readonly contextId?: string;
}

/** Replaces the kernel of a context. The agent answers when the new kernel is ready. */
const restart = operation({
  method: 'POST',
  timeoutMs: KERNEL_TIMEOUT_MS,
  request: ({ requestId, contextId }: Restart) => ({
    request_id: requestId,
    ...(contextId !== undefined && { context_id: contextId }),
  }),
  answer: z
    .object({ kernel_generation: z.number() })
    .transform(({ kernel_generation: kernelGeneration }) => ({ kernelGeneration })),
});

interface Interrupt {
  readonly msgId: string;
  /** A request with the same id interrupts only once, however often it is sent. */
  readonly requestId: string;
  /** The signal for a command. Left out: SIGINT. An agent without the feature `processes` ignores this field. */
  readonly signal?: InterruptSignal;
}

/** Interrupts one execution. The agent answers when it has delivered the signal. */
const interrupt = operation({
  method: 'POST',
  timeoutMs: QUICK_TIMEOUT_MS,
  request: ({ msgId, requestId, signal }: Interrupt) => ({
    msg_id: msgId,
    request_id: requestId,
    ...(signal !== undefined && { signal }),
  }),
  answer: z.object({
    /** Whether this execution was running or queued at the agent. */
    interrupted: z.boolean(),
    /** False: the agent has never received the execution, and will not run it if it arrives later. */
    known: z.boolean(),
  }),
});

/** The agent delays its answer for up to 2 s while it has no room for the execution's input. */
const INPUT_TIMEOUT_MS = 10_000;
/** The most input that the agent takes in one call. */
export const MAX_CALL_INPUT_BYTES = 32_768;

interface Input {
  readonly msgId: string;
  /** The position of the first byte in the execution's input. The agent skips bytes that it already has. */
  readonly offset: number;
  readonly bytes: Buffer;
  /** Whether the input ends with these bytes. */
  readonly close: boolean;
}

/** Hands input to an execution that has begun. Repeating the call changes nothing. */
const input = operation({
  method: 'POST',
  timeoutMs: INPUT_TIMEOUT_MS,
  request: ({ msgId, offset, bytes, close }: Input) => ({
    msg_id: msgId,
    offset,
    base64: bytes.toString('base64'),
    close,
  }),
  answer: z.object({
    /** False: the execution has ended, or has not reached the agent. */
    known: z.boolean(),
    /**
     * How many bytes of this execution's input the agent has taken in total. It may take only some of the bytes sent.
     */
    accepted: z.number(),
    /** Whether the agent has taken the end of the input. */
    closed: z.boolean(),
  }),
});

/** Resizes the terminal of a command. */
const resize = operation({
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

interface Variables {
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * Sets the environment variables of the session. Kernels have them before they run any code that is sent after the
 * answer. Every later kernel has them, too. Repeating the call changes nothing.
 */
const variables = operation({
  method: 'POST',
  timeoutMs: QUICK_TIMEOUT_MS,
  request: ({ variables }: Variables) => ({ variables }),
  answer: z.object({ count: z.number() }),
});

interface DeleteContext {
  readonly contextId: string;
  /** A request with the same id is carried out only once, however often it is sent. */
  readonly requestId: string;
}

/** Ends a context for ever. The agent answers when all its processes have ended. */
const deleteContext = operation({
  method: 'POST',
  timeoutMs: KERNEL_TIMEOUT_MS,
  request: ({ contextId, requestId }: DeleteContext) => ({
    context_id: contextId,
    request_id: requestId,
  }),
  /** False: the agent had no such context, and sends no further message about it. */
  answer: z.object({ deleted: z.boolean() }),
});

/** Usage counters of the whole container since its start, and the present use of its memory and its disks. */
const usage = operation({
  method: 'GET',
  timeoutMs: QUICK_TIMEOUT_MS,
  request: (_: NoInput) => ({}),
  answer: z
    .object({
      clock_ms: z.number(),
      cpu_ms: z.number(),
      memory_bytes: z.number(),
      memory_limit_bytes: z.number(),
      cache_bytes: z.number(),
      disk_bytes: z.number(),
      disk_limit_bytes: z.number(),
      oom_kills: z.number(),
    })
    .transform((counters) => ({
      /** The time of a monotonic clock. Two answers show how much CPU time was used in the time between them. */
      clockMs: counters.clock_ms,
      cpuMs: counters.cpu_ms,
      memoryBytes: counters.memory_bytes,
      memoryLimitBytes: counters.memory_limit_bytes,
      /** File cache that could be reclaimed. It is not part of the memory in use. */
      cacheBytes: counters.cache_bytes,
      diskBytes: counters.disk_bytes,
      diskLimitBytes: counters.disk_limit_bytes,
      oomKills: counters.oom_kills,
    })),
});

/** A little more than the time that the agent gives its kernel. */
const ASK_TIMEOUT_MS = 2_000;
/** The agent's limits are 131,072 bytes of text and 1,000 texts. JSON takes at most six bytes for a byte of text. */
const MAX_ANSWER_BYTES = 1_048_576;
const MAX_ITEMS = 1_000;
const MAX_INDENT_CHARS = 256;
const MAX_DATA_TYPES = 2;

/** Asks an idle kernel. The answer is null if the kernel is busy, or if its answer is late or malformed. */
const ask = operation({
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

export const AGENT_OPERATIONS = {
  ask,
  contexts,
  delete_context: deleteContext,
  health,
  input,
  interrupt,
  resize,
  restart,
  usage,
  variables,
};

export type OperationName = keyof typeof AGENT_OPERATIONS;

export type InputOf<Name extends OperationName> = Parameters<
  (typeof AGENT_OPERATIONS)[Name]['request']
>[0];

export type AnswerOf<Name extends OperationName> =
  (typeof AGENT_OPERATIONS)[Name] extends Operation<infer _, infer Answer> ? Answer : never;
