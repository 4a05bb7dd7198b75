/** A container that may run for any length of time, if it keeps printing. */
import { PassThrough } from 'node:stream';
import type Docker from 'dockerode';

export interface WatchedContainer {
  /**
   * Resolves with all that it printed once it has ended. Fails if it is silent for too long, or exits with a code other
   * than 0.
   */
  readonly ended: Promise<string>;
  /** Ends and removes the container. May be called at any time, and repeatedly. */
  close(): Promise<void>;
}

/**
 * Starts the container with standard input open. Standard input closes when this process dies, which tells the
 * container to end.
 * @param silenceLimitMs a container that prints nothing for so long counts as hanging
 */
export async function startWatched(
  docker: Docker,
  options: Docker.ContainerCreateOptions,
  silenceLimitMs: number,
): Promise<WatchedContainer> {
  const attachment = { AttachStdin: true, AttachStdout: true, AttachStderr: true };
  const input = { OpenStdin: true, StdinOnce: true };
  const hostConfig = { ...options.HostConfig, AutoRemove: true };
  const container = await docker.createContainer({
    ...options,
    ...attachment,
    ...input,
    HostConfig: hostConfig,
  });
  const close = async (): Promise<void> => {
    await container.remove({ force: true }).catch((error: { statusCode?: number }) => {
      // The container is gone or being removed.
      if (error.statusCode !== 404 && error.statusCode !== 409) throw error;
    });
  };
  try {
    const wire = await container.attach({
      stream: true,
      hijack: true,
      stdin: true,
      stdout: true,
      stderr: true,
    });
    const output = new PassThrough({ encoding: 'utf8' });
    container.modem.demuxStream(wire, output, output);
    wire.on('end', () => output.end());
    wire.on('error', (error) => output.destroy(error));
    // The wait begins before the start: a short run could end and be removed before a later wait.
    const exit = container.wait({ condition: 'removed' }) as Promise<{ StatusCode: number }>;
    await container.start();
    return { ended: readToEnd(output, silenceLimitMs, exit), close };
  } catch (error: unknown) {
    await close();
    throw error;
  }
}

async function readToEnd(
  output: PassThrough,
  silenceLimitMs: number,
  exit: Promise<{ StatusCode: number }>,
): Promise<string> {
  const text = await readAll(output, silenceLimitMs);
  const { StatusCode: code } = await exit;
  if (code !== 0) throw new Error(`It ended with ${code}, and printed:\n${text}`);
  return text;
}

async function readAll(output: PassThrough, silenceLimitMs: number): Promise<string> {
  let text = '';
  const giveUp = () =>
    output.destroy(new Error(`Nothing for ${silenceLimitMs} ms, after it had printed:\n${text}`));
  const silence = setTimeout(giveUp, silenceLimitMs);
  try {
    for await (const piece of output) {
      text += piece;
      silence.refresh();
    }
    return text;
  } finally {
    clearTimeout(silence);
  }
}
