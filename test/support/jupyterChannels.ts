/** The Jupyter door with a service that the test simulates, and WebSocket clients that can send any message. */
import { once } from 'node:events';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import type { Execution } from '../../src/domain/execution.ts';
import { createJupyterDoor } from '../../src/doors/jupyter/jupyterDoor.ts';
import { newId } from '../../src/process/newId.ts';
import { defaultView } from '../../src/service/contexts/contexts.ts';
import type { KernelView } from '../../src/service/contexts/kernels.ts';
import type { ExecuteRequest } from '../../src/service/execute/validateRequest.ts';
import type { ContextNews } from '../../src/service/output/followContext.ts';
import { until } from '../../testkit/until.ts';
import { memoryService } from './memoryService.ts';
import { openSession, queuedExecution } from './states.ts';
import { secretOf, tokensFor } from './testDoor.ts';
import { startTransport } from './transportServer.ts';

/** A message that a client got. */
export interface Got {
  readonly msg_type: string;
  readonly parent_header: { readonly msg_id?: string; readonly session?: string };
  readonly content: Readonly<Record<string, unknown>>;
}

export interface RawClient {
  readonly got: readonly Got[];
  /** Resolves when the request with this id is over, with all messages since the last call. */
  untilIdle(msgId: string): Promise<readonly Got[]>;
  send(header: Readonly<Record<string, unknown>>, content?: unknown, channel?: string): void;
}

/** A kernel of the token `mine`. It accepts all code and runs none: the test reports with `tell` what happens. */
export async function startChannels() {
  const session = openSession({ userUuid: 'mine:jupyter:1', tenant: 'blue' });
  const view: KernelView = {
    context: defaultView(session),
    tenant: session.tenant,
    userUuid: session.userUuid,
    environment: null,
    lastActivityAt: session.openedAt,
    unfinished: [],
  };
  const submitted: ExecuteRequest[] = [];
  const followers = new Set<(news: ContextNews) => void>();
  const service = memoryService({
    kernel: async () => view,
    kernels: async () => [view],
    followContext: async (_principal, _id, { gone }) => ({
      kernel: view,
      news: newsFrom(followers, gone),
      reached: () => {},
      recorded: async () => {},
    }),
    submit: async (_principal, request) => {
      submitted.push(request);
      return executionOf(request);
    },
  });
  const settings = {
    executionTimeoutMs: 1,
    maxExecutionTimeoutMs: 1,
    maxCommandTimeoutMs: 1,
    workerWaitTimeoutMs: 1,
    longestSessionLifeMs: 86_400_000,
    egressAllow: [],
    pipIndexUrl: null,
  };
  const log: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line) => void log.push(line) });
  const door = createJupyterDoor({
    settings,
    logger,
    newId,
    newErrorId: newId,
    now: () => new Date(),
  });
  const { tokenCache } = tokensFor({ mine: 'jupyter', other: 'jupyter' });
  const started = await startTransport(service, { doors: [door], tokenCache });
  return {
    ...started,
    /** What the door has logged with level warning or higher. */
    log,
    submitted,
    tell: (news: ContextNews) => {
      for (const follower of followers) follower(news);
    },
    connect: () => connect(started.port, view.context.id),
  };
}

/** The finished execution of a request. */
export function executionOf({ idempotencyKey = null }: ExecuteRequest): Execution {
  const at = new Date();
  const ran = { startedAt: at, finishedAt: at, status: 'OK', executionCount: 1 } as const;
  return { ...queuedExecution(), ...ran, idempotencyKey };
}

async function* newsFrom(
  followers: Set<(news: ContextNews) => void>,
  gone: AbortSignal,
): AsyncGenerator<ContextNews> {
  const waiting: ContextNews[] = [];
  let wake = () => {};
  const follower = (news: ContextNews) => {
    waiting.push(news);
    wake();
  };
  followers.add(follower);
  gone.addEventListener('abort', () => wake());
  while (!gone.aborted) {
    const next = waiting.shift();
    if (next !== undefined) yield next;
    else
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
  followers.delete(follower);
}

/** A client that sends no session id in its URL. */
async function connect(port: number, kernelId: string): Promise<RawClient> {
  const path = `/t/${secretOf('mine')}/api/kernels/${kernelId}/channels`;
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
  onTestFinished(() => socket.terminate());
  const got: Got[] = [];
  let seen = 0;
  socket.on('message', (data) => got.push(JSON.parse(String(data)) as Got));
  await once(socket, 'open');
  return {
    got,
    send: (header, content = {}, channel = 'shell') =>
      socket.send(JSON.stringify({ header, content, channel })),
    untilIdle: async (msgId) => {
      const isIdle = ({ parent_header, content }: Got) =>
        parent_header.msg_id === msgId && content.execution_state === 'idle';
      await until('it is idle', async () => got.slice(seen).some(isIdle));
      const news = got.slice(seen);
      seen = got.length;
      return news;
    },
  };
}
