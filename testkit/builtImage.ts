import type Docker from 'dockerode';

/** Awaits a build that dockerode has started. @throws Error with the end of the builder's output */
export function builtImage(docker: Docker, progress: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    // If a build step fails, the stream does not fail, but its last entry has an `error`.
    const onEnd = (error: Error | null, entries: { error?: string; stream?: string }[] | null) => {
      const failure = error?.message ?? entries?.find((entry) => entry.error !== undefined)?.error;
      if (failure === undefined) return resolve();
      const log = entries?.map(({ stream }) => stream ?? '').join('') ?? '';
      reject(new Error(`The image could not be built: ${failure}\n${log.slice(-5_000)}`));
    };
    docker.modem.followProgress(progress, onEnd);
  });
}
