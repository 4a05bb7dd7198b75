/** Serves a call on the data plane within its sandbox, however that ends meanwhile. */
import { DomainError } from '../../../domain/errors.ts';
import { singleUser } from '../../../domain/users.ts';
import type { WatchedSession } from '../../../service/sessions/sessions.ts';
import type { DoorCall } from '../../openDoor.ts';
import { answerGone } from '../answer.ts';
import type { SandboxCall } from '../surface.ts';
import { sandboxIdIn } from './names.ts';

/** @param isSigned see {@link SandboxCall} */
export async function inSandbox(
  call: DoorCall,
  isSigned: boolean,
  serve: (call: SandboxCall) => Promise<void>,
): Promise<void> {
  const { res, service, stopping } = call;
  const userUuid = singleUser(call.principal.users) ?? '';
  const sandboxId = sandboxIdIn(userUuid) ?? '';
  const watched = await service.watchSession(userUuid).catch(nothingOpen);
  if (watched === null) return answerGone(res, sandboxId);
  const hasEnded = () => hasSessionEnded(call, watched);
  const offs: (() => void)[] = [];
  const onStream = () => {
    call.onStream();
    const cut = () => void res.destroy();
    offs.push(watched.onEnd(cut), stopping.on(cut));
  };
  try {
    const { session } = watched;
    await serve({ call, sandboxId, userUuid, session, isSigned, hasEnded, onStream });
  } catch (error: unknown) {
    if (!(error instanceof DomainError) || !(await hasEnded())) throw error;
    if (res.headersSent) res.destroy();
    else answerGone(res, sandboxId);
  } finally {
    for (const off of offs) off();
  }
}

/** This gateway may not have heard of the end yet. */
async function hasSessionEnded({ service }: DoorCall, watched: WatchedSession): Promise<boolean> {
  if (watched.hasEnded) return true;
  const now = await service.session(watched.session.userUuid);
  return now?.id !== watched.session.id || now.closedAt !== null;
}

function nothingOpen(error: unknown): null {
  if (error instanceof DomainError && error.code === 'NOT_FOUND') return null;
  throw error;
}
