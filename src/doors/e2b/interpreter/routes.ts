/** The server for code: port 49999 of a sandbox. */
import type { DoorDeps } from '../../openDoor.ts';
import { answerError, answerJson } from '../answer.ts';
import type { SandboxCall } from '../surface.ts';

export async function serveInterpreter({ call }: SandboxCall, _deps: DoorDeps): Promise<void> {
  if (call.path === '/health') answerJson(call.res, 200, 'OK');
  else answerError(call.res, 404, `There is no ${call.path} here.`);
}
