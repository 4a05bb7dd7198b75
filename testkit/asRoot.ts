import { text } from 'node:stream/consumers';
import Docker from 'dockerode';

/** Runs a command as root of a container, which no user of a worker is. Resolves with what it printed. */
export async function asRoot(containerId: string, command: readonly string[]): Promise<string> {
  const exec = await new Docker().getContainer(containerId).exec({
    Cmd: [...command],
    AttachStdout: true,
    AttachStderr: true,
    // With a terminal, Docker does not frame the output.
    Tty: true,
  });
  return await text(await exec.start({ Tty: true }));
}
