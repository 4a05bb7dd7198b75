/**
 * Calls to the engine: their time limit and their errors (and those of the disk), and the call that identifies the
 * engine.
 */

import Docker from 'dockerode';
import { within } from '../../async/within.ts';
import { hasCode, messageOf } from '../../domain/errors.ts';
import { type Engine, RuntimeError } from '../runtime.ts';

/** The socket is missing, nobody listens on it, or the connection broke in the middle of a call. */
const AWAY_CODES = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT'];

/**
 * Awaits the engine's answer to a call.
 * @throws RuntimeError if the kind of failure is known; `engine-away` also after `limitMs`
 */
export async function engineCall<T>(limitMs: number, call: Promise<T>): Promise<T> {
  try {
    return await within(limitMs, call, () => {
      throw new RuntimeError(
        'engine-away',
        `The Docker engine has not answered for ${limitMs} ms.`,
      );
    });
  } catch (error: unknown) {
    throw error instanceof RuntimeError ? error : engineError(error);
  }
}

/** An error of the engine, as a {@link RuntimeError} if its kind is known. */
function engineError(error: unknown): unknown {
  const message = messageOf(error);
  const options = { cause: error };
  if (statusOf(error) === null && AWAY_CODES.some((code) => hasCode(error, code))) {
    return new RuntimeError(
      'engine-away',
      `The Docker engine does not answer (${message}).`,
      options,
    );
  }
  if (/no space left on device/i.test(message)) return diskError(error);
  if (statusOf(error) === 404 && /no such image/i.test(message)) {
    return new RuntimeError('image-missing', message, options);
  }
  return error;
}

/** An error of the file system, as a {@link RuntimeError} if the disk is full. */
export function diskError(error: unknown): unknown {
  const isFull = /no space left on device|quota exceeded/i.test(messageOf(error));
  if (!isFull) return error;
  const message = `The disk is full (${messageOf(error)}).`;
  return new RuntimeError('disk-full', message, { cause: error });
}

/** The HTTP status of the engine's answer. Null if there was no answer. */
export function statusOf(error: unknown): number | null {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : null;
}

/** Added to dockerode's own limit. Catches answers that break off in the middle, which dockerode never reports. */
const BROKEN_ANSWER_ALLOWANCE_MS = 1_000;

interface EngineInfo {
  readonly ID: string;
  readonly LiveRestoreEnabled: boolean;
  readonly Runtimes: Readonly<Record<string, unknown>>;
  readonly ServerVersion: string;
  readonly DockerRootDir: string;
  readonly MemoryLimit: boolean;
  readonly PidsLimit: boolean;
  readonly CpuCfsQuota: boolean;
}

/** An engine, with the facts that only operators need. */
export interface DescribedEngine extends Engine {
  readonly version: string;
  /** The folder of its images and containers, on its own machine. */
  readonly dataRoot: string;
  /** The resources of containers that it cannot limit, because its Linux cannot: `memory`, `processes`, `CPU time`. */
  readonly unlimited: readonly string[];
}

/**
 * Asks the engine at a socket for its id and its abilities.
 * @throws RuntimeError `engine-away`, also after `limitMs`
 */
export async function askEngine(socketPath: string, limitMs: number): Promise<DescribedEngine> {
  const info = (await ask(socketPath, limitMs, (docker) => docker.info())) as EngineInfo;
  return {
    id: info.ID,
    keepsContainers: info.LiveRestoreEnabled,
    ociRuntimes: Object.keys(info.Runtimes),
    version: info.ServerVersion,
    dataRoot: info.DockerRootDir,
    unlimited: [
      ...(info.MemoryLimit ? [] : ['memory']),
      ...(info.PidsLimit ? [] : ['processes']),
      ...(info.CpuCfsQuota ? [] : ['CPU time']),
    ],
  };
}

/** When an image was built. @throws RuntimeError, also after `limitMs` */
export async function imageBuiltAt(
  socketPath: string,
  image: string,
  limitMs: number,
): Promise<Date> {
  const { Created } = await ask(socketPath, limitMs, (docker) => docker.getImage(image).inspect());
  return new Date(Created);
}

function ask<T>(
  socketPath: string,
  limitMs: number,
  call: (docker: Docker) => Promise<T>,
): Promise<T> {
  const docker = new Docker({ socketPath, timeout: limitMs });
  return engineCall(limitMs + BROKEN_ANSWER_ALLOWANCE_MS, call(docker));
}
