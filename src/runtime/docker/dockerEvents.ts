/**
 * Reads the engine's event stream. Reports the ends of containers immediately, and reports when some may have been
 * missed.
 */
import type { Readable } from 'node:stream';
import Docker from 'dockerode';
import type { Logger } from 'pino';
import { pause } from '../../async/pause.ts';
import { messageOf } from '../../domain/errors.ts';
import type { PoolId } from '../../domain/ids.ts';
import {
  isEngineAway,
  RuntimeError,
  type RuntimeFailure,
  type RuntimeListener,
} from '../runtime.ts';
import { POOL_LABEL } from './containerSpec.ts';
import type { EngineIdentity } from './engineIdentity.ts';

/** Pause before the stream is opened again. A restart of the engine takes seconds. */
const RECONNECT_DELAY_MS = 250;

interface WatchDeps {
  readonly socketPath: string;
  readonly identity: EngineIdentity;
  readonly logger: Logger;
}

interface Watch extends WatchDeps {
  readonly docker: Docker;
  readonly poolId: PoolId;
  readonly listener: RuntimeListener;
  readonly stopped: AbortController;
  /** Time of the last event seen, in seconds since the epoch. The next stream resumes there. */
  since: number;
  /** Why the engine sends no events now, as last reported to the listener. Null: no failure is reported. */
  away: RuntimeFailure | null;
}

/**
 * Watches the pool's containers until `close()`. `onBack` is called whenever the stream has been opened, including the
 * first time. The caller must then list the containers to learn what happened before. After a reconnect, events may be
 * repeated.
 */
export function watchContainers(
  deps: WatchDeps,
  poolId: PoolId,
  listener: RuntimeListener,
): { close(): void } {
  // This needs its own client without a time limit, because a quiet engine may send nothing for hours.
  const docker = new Docker({ socketPath: deps.socketPath });
  const stopped = new AbortController();
  const since = Math.floor(Date.now() / 1000);
  void follow({ ...deps, docker, poolId, listener, stopped, since, away: null });
  return { close: () => stopped.abort() };
}

async function follow(watch: Watch): Promise<void> {
  const { signal } = watch.stopped;
  while (!signal.aborted) {
    const end = await readEvents(watch).catch((error: unknown) => error);
    if (signal.aborted) return;
    lost(watch, end);
    await pause(RECONNECT_DELAY_MS, signal);
  }
}

/** Reports and logs each outage once, and once more if another engine answers in place of the pool's. */
function lost(watch: Watch, cause: unknown): void {
  watch.identity.forget();
  const error = awayError(cause);
  if (watch.away === error.kind) return;
  watch.away = error.kind;
  const what =
    error.kind === 'other-engine' ? 'another Docker engine answers' : 'the Docker engine is away';
  watch.logger.warn({ error: error.message }, `${what}; trying again`);
  watch.listener.onAway(error);
}

function awayError(cause: unknown): RuntimeError {
  if (cause instanceof RuntimeError && isEngineAway(cause)) return cause;
  const why = cause === undefined ? 'it ended its event stream' : messageOf(cause);
  return new RuntimeError('engine-away', `The Docker engine does not answer (${why}).`, { cause });
}

async function readEvents(watch: Watch): Promise<void> {
  const { signal } = watch.stopped;
  await watch.identity.confirmed();
  const stream = (await watch.docker.getEvents({
    since: watch.since,
    abortSignal: signal,
    filters: {
      type: ['container'],
      event: ['die', 'destroy'],
      label: [`${POOL_LABEL}=${watch.poolId}`],
    },
  })) as Readable;
  await watch.identity.askAnew();
  if (watch.away !== null) watch.logger.info('the Docker engine is back');
  watch.away = null;
  watch.listener.onBack();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') report(watch, line);
  }
}

interface EngineEvent {
  readonly time?: number;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: { readonly exitCode?: string } };
}

/** Throws on an invalid line, so that the stream is opened again: the watch must not end silently. */
function report(watch: Watch, line: string): void {
  const { time, Actor } = JSON.parse(line) as EngineEvent;
  if (typeof time === 'number') watch.since = time;
  if (typeof Actor?.ID !== 'string') return;
  const exitCode = Number(Actor.Attributes?.exitCode ?? Number.NaN);
  watch.listener.onEnd(Actor.ID, Number.isInteger(exitCode) ? exitCode : null);
}
