/** The agent's HTTP routes (docs/worker-protocol.md, "HTTP"). */
import { request } from 'node:http';
import { z } from 'zod';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import { FencedByWorkerError, KernelHttpError } from '../channel/kernelErrors.ts';
import type { KernelTarget } from '../channel/kernelTarget.ts';

/** Health, usage and interrupt are answered from memory. */
const QUICK_REQUEST_TIMEOUT_MS = 5_000;
/** A restart waits for a fresh kernel, which the slow way takes some seconds on a busy machine. */
const RESTART_TIMEOUT_MS = 30_000;
/** All answers are a few short fields. */
const MAX_ANSWER_BYTES = 65_536;

const healthSchema = z.object({
  status: z.literal('ok'),
  boot_id: z.string(),
  kernel: z.enum(['idle', 'busy', 'restarting']),
});
/** An agent of before `known` does not tell: then nothing may be concluded from its silence. */
const interruptSchema = z.object({ interrupted: z.boolean(), known: z.boolean().default(true) });
const restartSchema = z.object({ kernel_generation: z.number() });
const usageSchema = z.object({
  cpu_ms: z.number(),
  memory_bytes: z.number(),
  memory_limit_bytes: z.number(),
  oom_kills: z.number(),
});

export interface Health {
  readonly bootId: string;
  readonly kernel: 'idle' | 'busy' | 'restarting';
}

/** Of the whole container, since it started. */
export interface Usage {
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
  readonly oomKills: number;
}

/** What an interrupt met. */
export interface Interrupted {
  /** This very request was running or queued at the agent. */
  readonly interrupted: boolean;
  /** False: the agent never got that request, and will not run it if it still does. */
  readonly known: boolean;
}

/** Each rejects with FencedByWorkerError, KernelHttpError, or the socket's error (timeouts and aborts too). */
export interface AgentHttp {
  health(): Promise<Health>;
  usage(): Promise<Usage>;
  /** Resolves when the interrupt is delivered. The same `requestId` interrupts once, however often it is sent. */
  interrupt(msgId: string, requestId: string): Promise<Interrupted>;
  /** Resolves when the fresh kernel is ready. The same `requestId` makes one, however often it is sent. */
  restart(requestId: string): Promise<void>;
}

export interface AgentHttpDeps {
  readonly target: KernelTarget;
  readonly epoch: number;
  /** Ends every request that is under way. */
  readonly signal: AbortSignal;
}

/** Against a plain Jupyter Server, which has other routes, each rejects. */
export function createAgentHttp({ target, epoch, signal }: AgentHttpDeps): AgentHttp {
  if (target.kind === 'jupyter') return noAgentHttp();
  const { address } = target;
  const call = async <T>(schema: z.ZodType<T>, options: CallOptions): Promise<T> => {
    const answer = await send(address, options, signal);
    if (answer.status === 409) throw new FencedByWorkerError();
    const parsed = schema.safeParse(parseBody(answer));
    if (answer.status === 200 && parsed.success) return parsed.data;
    throw new KernelHttpError(
      answer.status,
      `The worker answered ${options.method} ${options.path} with HTTP ${answer.status}${parsed.success ? '' : ' and not as agreed'}.`,
    );
  };
  const get = { method: 'GET', timeoutMs: QUICK_REQUEST_TIMEOUT_MS } as const;
  const post = { method: 'POST', timeoutMs: QUICK_REQUEST_TIMEOUT_MS } as const;
  return {
    health: async () => {
      const health = await call(healthSchema, { ...get, path: '/health' });
      return { bootId: health.boot_id, kernel: health.kernel };
    },
    usage: async () => {
      const usage = await call(usageSchema, { ...get, path: '/usage' });
      return {
        cpuMs: usage.cpu_ms,
        memoryBytes: usage.memory_bytes,
        memoryLimitBytes: usage.memory_limit_bytes,
        oomKills: usage.oom_kills,
      };
    },
    interrupt: async (msgId, requestId) => {
      const body = { epoch, msg_id: msgId, request_id: requestId };
      return await call(interruptSchema, { ...post, path: '/interrupt', body });
    },
    restart: async (requestId) => {
      const body = { epoch, request_id: requestId };
      const timeoutMs = RESTART_TIMEOUT_MS;
      await call(restartSchema, { ...post, path: '/restart', body, timeoutMs });
    },
  };
}

function noAgentHttp(): AgentHttp {
  const unavailable = () => Promise.reject(new Error('A plain Jupyter Server has no such route.'));
  return { health: unavailable, usage: unavailable, interrupt: unavailable, restart: unavailable };
}

interface CallOptions {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly timeoutMs: number;
  readonly body?: unknown;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

function send(address: AgentAddress, options: CallOptions, signal: AbortSignal): Promise<Answer> {
  const { method, path, timeoutMs } = options;
  const body = options.body === undefined ? '' : JSON.stringify(options.body);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const call = request({
      // Without an agent: each call has a connection of its own.
      createConnection: () => address.open(),
      method,
      path,
      headers: method === 'POST' ? headers : {},
      signal,
    });
    // Not AbortSignal.any: of each combined signal Node 20 leaves something on `signal`, which lives as long as the worker.
    const timer = setTimeout(() => call.destroy(timedOut(options)), timeoutMs);
    call.on('close', () => clearTimeout(timer));
    call.on('error', reject);
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_ANSWER_BYTES) response.destroy(new Error('The answer is too long.'));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    call.end(body);
  });
}

function timedOut({ method, path, timeoutMs }: CallOptions): Error {
  return new Error(`The worker did not answer ${method} ${path} within ${timeoutMs} ms.`);
}

function parseBody({ status, body }: Answer): unknown {
  try {
    return JSON.parse(body);
  } catch (e: unknown) {
    if (status !== 200) return undefined;
    throw new KernelHttpError(status, 'The worker answered with a body that is no JSON.', {
      cause: e,
    });
  }
}
