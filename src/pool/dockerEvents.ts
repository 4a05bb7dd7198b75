/** The engine's event stream: tells of deaths at once, and says so when it may have missed some. */
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';
import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { PoolId } from '../ids.ts';
import { POOL_LABEL } from './containerSpec.ts';

/** Pause before the stream is opened anew; an engine that restarts takes seconds. */
const RECONNECT_DELAY_MS = 250;

interface Watch {
  readonly docker: Docker;
  readonly logger: Logger;
  readonly poolId: PoolId;
  readonly onEnd: (containerId: string) => void;
  readonly onGap: () => void;
  readonly stopped: AbortController;
  /** Seconds since the epoch of the last event seen: the next stream resumes there. */
  since: number;
}

/**
 * Watches the pool's containers until `close()`. `onGap` is called each time the stream has been opened, the first time
 * included, so that the caller's listing covers whatever came before. Events may be told twice after a reconnect.
 */
export function watchContainers(
  deps: { readonly socketPath: string; readonly logger: Logger },
  poolId: PoolId,
  onEnd: (containerId: string) => void,
  onGap: () => void,
): { close(): void } {
  // A client of its own without a time limit: a quiet engine sends nothing for hours.
  const docker = new Docker({ socketPath: deps.socketPath });
  const stopped = new AbortController();
  const since = Math.floor(Date.now() / 1000);
  const watch: Watch = { docker, logger: deps.logger, poolId, onEnd, onGap, stopped, since };
  void follow(watch);
  return { close: () => stopped.abort() };
}

async function follow(watch: Watch): Promise<void> {
  const { signal } = watch.stopped;
  while (!signal.aborted) {
    try {
      await readEvents(watch);
    } catch (error: unknown) {
      if (signal.aborted) return;
      watch.logger.warn({ error: messageOf(error) }, 'lost the Docker event stream; reconnecting');
    }
    await delay(RECONNECT_DELAY_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function readEvents(watch: Watch): Promise<void> {
  const { signal } = watch.stopped;
  const stream = (await watch.docker.getEvents({
    since: watch.since,
    abortSignal: signal,
    filters: {
      type: ['container'],
      event: ['die', 'destroy'],
      label: [`${POOL_LABEL}=${watch.poolId}`],
    },
  })) as Readable;
  watch.onGap();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') tell(watch, line);
  }
}

/** The engine is trusted; a line that is no event still must not end the watch silently: it throws, and is reopened. */
function tell(watch: Watch, line: string): void {
  const event = JSON.parse(line) as { time?: number; Actor?: { ID?: string } };
  if (typeof event.time === 'number') watch.since = event.time;
  if (typeof event.Actor?.ID === 'string') watch.onEnd(event.Actor.ID);
}
