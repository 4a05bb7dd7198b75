/** Builds images for workers with the classic builder of a local Docker engine. */
import { readdir } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import Docker from 'dockerode';
import { messageOf } from '../../domain/errors.ts';
import { type EnvironmentId, type PoolId, parseId } from '../../domain/ids.ts';
import {
  type BuildListener,
  BuildStepError,
  type BuiltImage,
  type ImageBuild,
  type Images,
  type ListedImage,
} from '../images.ts';
import { otherEngine, RuntimeError } from '../runtime.ts';
import { askEngine, engineCall, statusOf } from './engineCalls.ts';

/** The label for the kind of an image that Cellhouse has built. `scripts/setup/pruneImages.mjs` reads it, too. */
const KIND_LABEL = 'cellhouse.image';
const KIND = 'environment';
const ENVIRONMENT_LABEL = 'cellhouse.environment';
/**
 * Not the pool label of workers: a build's containers inherit the labels of its layers, and a sweep would remove them.
 */
const OWNER_LABEL = 'cellhouse.environment-pool';

/** An engine that takes longer to answer counts as away. Removing a large image takes seconds. */
const ENGINE_CALL_TIMEOUT_MS = 60_000;
const MIB = 1024 * 1024;
/** The CFS scheduling period of a build's containers. Their CPU quota is given for this period. */
const CPU_PERIOD_US = 100_000;

export interface DockerImagesDeps {
  /** The id of the engine that the pool's workers are on. */
  readonly engineId: string;
  /** The engine's socket. */
  readonly socketPath: string;
}

interface Parts extends DockerImagesDeps {
  readonly docker: Docker;
}

export function createDockerImages(deps: DockerImagesDeps): Images {
  // This client has no inactivity timeout, because a build step may print nothing for minutes.
  const parts = { ...deps, docker: new Docker({ socketPath: deps.socketPath }) };
  return {
    labels: ({ poolId, environmentId }) =>
      `LABEL ${KIND_LABEL}=${KIND} ${OWNER_LABEL}=${poolId} ${ENVIRONMENT_LABEL}=${environmentId}`,
    build: (build, listener) => buildImage(parts, build, listener),
    bytesOf: (imageId) => bytesOf(parts, imageId),
    list: (poolId) => list(parts, poolId),
    noteUse: (imageId, name) => noteUse(parts, imageId, name),
    remove: (imageId) => remove(parts, imageId),
  };
}

/** @throws RuntimeError unless the engine at the socket is the pool's */
async function requireEngine({ engineId, socketPath }: Parts): Promise<void> {
  const found = await askEngine(socketPath, ENGINE_CALL_TIMEOUT_MS);
  if (found.id !== engineId) throw otherEngine(engineId, found, socketPath);
}

async function answerOf<T>(parts: Parts, call: (docker: Docker) => Promise<T>): Promise<T> {
  await requireEngine(parts);
  return await engineCall(ENGINE_CALL_TIMEOUT_MS, call(parts.docker));
}

async function buildImage(
  parts: Parts,
  build: ImageBuild,
  { onText, signal }: BuildListener,
): Promise<BuiltImage> {
  await requireEngine(parts);
  signal.throwIfAborted();
  try {
    const stream = await startBuild(parts, build, signal);
    await readBuild(stream, onText);
  } catch (error: unknown) {
    // The engine stops a build when its connection ends, so an aborted build does not continue.
    signal.throwIfAborted();
    if (error instanceof BuildStepError) throw error;
    // Turns the error into a RuntimeError if its kind is known.
    throw await engineCall(ENGINE_CALL_TIMEOUT_MS, Promise.reject(error)).catch((e: unknown) => e);
  }
  const { Id, Size } = await answerOf(parts, (docker) => docker.getImage(build.name).inspect());
  return { imageId: Id, bytes: Size };
}

async function startBuild(
  { docker }: Parts,
  build: ImageBuild,
  signal: AbortSignal,
): Promise<Readable> {
  const { folder, name, memoryMb, cpus, network } = build;
  const context = { context: folder, src: await readdir(folder) };
  const stream = await docker.buildImage(context, {
    t: name,
    version: '1',
    // Removes the container of a failed step, too.
    forcerm: true,
    networkmode: network,
    memory: memoryMb * MIB,
    memswap: memoryMb * MIB,
    cpuperiod: CPU_PERIOD_US,
    cpuquota: cpus * CPU_PERIOD_US,
    abortSignal: signal,
  });
  const readable = stream instanceof Readable ? stream : new Readable().wrap(stream);
  // The reader receives an error of the stream. A later error must not end the process.
  return readable.on('error', () => undefined);
}

interface Entry {
  readonly stream?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly code?: number };
}

/**
 * Reads the stream to its end, so that it cannot fail later.
 * @throws BuildStepError if the engine reported a failure
 */
async function readBuild(stream: Readable, onText: (text: string) => void): Promise<void> {
  let step = 0;
  let failure: BuildStepError | null = null;
  for await (const { stream: text, error, errorDetail } of entriesOf(stream)) {
    if (error !== undefined)
      failure = new BuildStepError(step, error.trim(), errorDetail?.code ?? null);
    if (text === undefined) continue;
    step = Number(/^Step (\d+)\/\d+ : /.exec(text)?.[1] ?? step);
    // The engine adds colour codes to the standard error of programs.
    onText(stripVTControlCharacters(text));
  }
  if (failure !== null) throw failure;
}

/** Reads one JSON value per line. `readline` would not report a broken connection. */
async function* entriesOf(stream: Readable): AsyncGenerator<Entry> {
  let rest = '';
  for await (const piece of stream.setEncoding('utf8')) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as Entry;
  }
  if (rest.trim() !== '') yield JSON.parse(rest) as Entry;
}

async function bytesOf(parts: Parts, imageId: string): Promise<number | null> {
  try {
    return (await answerOf(parts, (docker) => docker.getImage(imageId).inspect())).Size;
  } catch (error: unknown) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function list(parts: Parts, poolId: PoolId): Promise<ListedImage[]> {
  const filters = { label: [`${KIND_LABEL}=${KIND}`, `${OWNER_LABEL}=${poolId}`] };
  const images = await answerOf(parts, (docker) => docker.listImages({ filters }));
  return images.map(({ Id, Labels }) => ({
    imageId: Id,
    environmentId: parseId<EnvironmentId>(Labels?.[ENVIRONMENT_LABEL] ?? ''),
  }));
}

async function noteUse(parts: Parts, imageId: string, name: string): Promise<void> {
  const [repo = '', tag = ''] = name.split(':');
  await answerOf(parts, (docker) => docker.getImage(imageId).tag({ repo, tag })).catch(
    (error: unknown) => {
      if (statusOf(error) !== 404 && !isMissing(error)) throw error;
    },
  );
}

function isMissing(error: unknown): boolean {
  return error instanceof RuntimeError && error.kind === 'image-missing';
}

async function remove(parts: Parts, imageId: string): Promise<boolean> {
  try {
    await answerOf(parts, (docker) => docker.getImage(imageId).remove());
    return true;
  } catch (error: unknown) {
    if (isMissing(error) || statusOf(error) === 404) return true;
    // A container uses the image, or another image is built on it.
    if (statusOf(error) === 409) return false;
    throw new Error(`The image ${imageId} could not be removed (${messageOf(error)}).`, {
      cause: error,
    });
  }
}
