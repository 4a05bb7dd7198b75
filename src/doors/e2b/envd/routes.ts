/** The server for files and processes: port 49983 of a sandbox. */
import type { DoorDeps } from '../../openDoor.ts';
import { answerError } from '../answer.ts';
import type { SandboxCall } from '../surface.ts';

export async function serveEnvd({ call }: SandboxCall, _deps: DoorDeps): Promise<void> {
  if (call.path === '/health') call.res.writeHead(204).end();
  else answerError(call.res, 404, `There is no ${call.path} here.`);
}
