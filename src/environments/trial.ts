/**
 * Tests an image: starts a worker in the full sandbox, and lets its kernel list the installed packages. So if no worker
 * or kernel can start in an environment, the build fails and not the first session.
 */
import type { Logger } from 'pino';
import { z } from 'zod';
import { onAbort } from '../async/onAbort.ts';
import { within } from '../async/within.ts';
import type { AgentAddress } from '../domain/agentAddress.ts';
import type { InstalledPackage } from '../domain/environment.ts';
import { messageOf } from '../domain/errors.ts';
import type { NewId, PoolId, WorkerId } from '../domain/ids.ts';
import { createMessageCounts } from '../domain/messageCounts.ts';
import type { WorkerLimits } from '../domain/worker.ts';
import { type KernelChannel, openKernelChannel } from '../kernel/channel/kernelChannel.ts';
import type { OutputMessage, ReplyMessage } from '../kernel/frames/messages.ts';
import { isEngineAway, type Runtime } from '../runtime/runtime.ts';
import { INSTALLED } from './recipe.ts';

/** A worker starts in about a second, or later if its preloaded modules are slow. */
const START_TIMEOUT_MS = 120_000;
/** How often the container is inspected, to notice its end. */
const POLL_INTERVAL_MS = 500;
const EXECUTION_TIMEOUT_MS = 60_000;
const GRACE_MS = 1_000;
/** A list of thousands of packages has some hundred KiB. */
const MAX_OUTPUT_BYTES = 8 * 1024 * 1024;
/** If this gateway dies, the worker ends by itself after this time. The next builder removes its container. */
const ORPHAN_TIMEOUT_MS = 60_000;

/** The code of the test. It prints the sum and the list of installed packages. */
export const TRIAL_CODE = `print(1 + 1, open(${JSON.stringify(INSTALLED)}).read())`;

export interface TrialDeps {
  readonly runtime: Runtime;
  /** A pool for tests only. In the installation's pool, a sweep would remove the worker as a stranger. */
  readonly poolId: PoolId;
  readonly limits: WorkerLimits;
  readonly newId: NewId;
  readonly logger: Logger;
}

/** The worker or its kernel did not answer as expected. */
export class TrialError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TrialError';
  }
}

/**
 * @returns the packages that the build has installed
 * @throws TrialError, the engine's error, or the reason of the signal
 */
export async function tryImage(
  deps: TrialDeps,
  imageId: string,
  signal: AbortSignal,
): Promise<readonly InstalledPackage[]> {
  return installed(await runInTrial(deps, { imageId, code: TRIAL_CODE }, signal));
}

/**
 * Starts a worker, runs `code` in its kernel, and removes the worker.
 * @returns what the code printed
 * @throws TrialError, the engine's error, or the reason of the signal
 */
export async function runInTrial(
  deps: TrialDeps,
  { imageId, code }: { readonly imageId: string; readonly code: string },
  signal: AbortSignal,
): Promise<string> {
  const { runtime, poolId, newId } = deps;
  const workerId = newId<WorkerId>();
  const made = await runtime.create({
    ...{ workerId, poolId, imageId, limits: deps.limits },
    name: `cellhouse-trial-${workerId}`,
    environment: { CELLHOUSE_ORPHAN_TIMEOUT_MS: String(ORPHAN_TIMEOUT_MS) },
  });
  try {
    const address = runtime.addressOf({ socketPath: made.location });
    if (address === null) throw new TrialError('its worker has no address');
    await untilStarted(runtime, made.containerId, address, signal);
    return await answerOf(deps, { address, code }, signal);
  } finally {
    await runtime.remove({ poolId, workerId, containerId: made.containerId });
  }
}

/**
 * Removes workers that earlier tests left behind, for example because their gateway died. Call it only while nothing is
 * built.
 * @returns whether some could not be removed
 */
export async function removeTrials({
  runtime,
  trialPoolId: poolId,
  logger,
}: {
  readonly runtime: Pick<Runtime, 'list' | 'remove'>;
  readonly trialPoolId: PoolId;
  readonly logger: Logger;
}): Promise<boolean> {
  let isLeft = false;
  for (const { workerId, containerId } of await runtime.list(poolId))
    await runtime.remove({ poolId, workerId, containerId }).catch((error: unknown) => {
      if (isEngineAway(error)) throw error;
      isLeft = true;
      logger.warn({ workerId, error: messageOf(error) }, 'could not remove a test worker');
    });
  return isLeft;
}

async function untilStarted(
  runtime: Runtime,
  containerId: string,
  address: AgentAddress,
  signal: AbortSignal,
): Promise<void> {
  const waiting = new AbortController();
  const off = onAbort(signal, () => waiting.abort(signal.reason));
  const poll = async () => {
    const seen = await runtime.inspect(containerId).catch(() => undefined);
    if (seen === undefined || seen?.isRunning) return;
    const exitCode = seen?.end?.exitCode ?? 'unknown';
    waiting.abort(new TrialError(`its worker ended while it started (exit code ${exitCode})`));
  };
  const timer = setInterval(poll, POLL_INTERVAL_MS);
  try {
    await within(START_TIMEOUT_MS, address.untilOpen(waiting.signal), () => {
      throw new TrialError(`its worker was not ready within ${START_TIMEOUT_MS} ms`);
    });
  } finally {
    clearInterval(timer);
    off();
    waiting.abort();
  }
}

/** Runs the code in the worker's kernel, and returns what it printed. */
async function answerOf(
  { newId, logger }: TrialDeps,
  { address, code }: { readonly address: AgentAddress; readonly code: string },
  signal: AbortSignal,
): Promise<string> {
  signal.throwIfAborted();
  const msgId = newId<WorkerId>() as string;
  let printed = '';
  let channel: KernelChannel | undefined;
  let off = () => {};
  const replied = new Promise<ReplyMessage>((resolve, reject) => {
    off = onAbort(signal, () => reject(signal.reason));
    channel = openKernelChannel({
      ...{ address, epoch: 1, after: 0, bootId: '', logger },
      counts: createMessageCounts(),
      onOpen: () =>
        channel?.execute({
          ...{ msgId, code, timeoutMs: EXECUTION_TIMEOUT_MS, graceMs: GRACE_MS },
          maxOutputBytes: MAX_OUTPUT_BYTES,
        }),
      onMessage: (message) => {
        if (message.parentId !== msgId) return;
        if (message.type === 'output') printed += printedBy(message);
        else if (message.type === 'reply') resolve(message);
      },
    });
  });
  try {
    const reply = await within(EXECUTION_TIMEOUT_MS + GRACE_MS, replied, () => {
      throw new TrialError(`its kernel did not finish the test within ${EXECUTION_TIMEOUT_MS} ms`);
    });
    if (reply.status === 'ok') return printed;
    throw new TrialError(`its kernel could not run the test (${reasonOf(reply)})`);
  } finally {
    off();
    await channel?.close();
  }
}

function printedBy({ output }: OutputMessage): string {
  return output.kind === 'stream' && output.name === 'stdout' ? output.text : '';
}

function reasonOf({ status, error }: ReplyMessage): string {
  return error === null ? status : `${error.name}: ${error.value}`;
}

const installedSchema = z.array(
  z.object({ name: z.string(), version: z.string(), from: z.enum(['apt', 'pip']) }),
);

function installed(printed: string): readonly InstalledPackage[] {
  try {
    const [sum, list] = [printed.slice(0, 2), printed.slice(2)];
    if (sum !== '2 ') throw new Error(`1+1 is ${printed.slice(0, 100)}`);
    return installedSchema.parse(JSON.parse(list));
  } catch (cause: unknown) {
    const message = `its kernel does not say what is installed (${messageOf(cause)})`;
    throw new TrialError(message, { cause });
  }
}
