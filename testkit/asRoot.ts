import { text } from 'node:stream/consumers';
import Docker from 'dockerode';

/** Runs a command as root in a container. Code of users never runs as root. Resolves with the command's output. */
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
