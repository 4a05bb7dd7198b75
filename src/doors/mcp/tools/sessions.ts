/** The tools for sessions. */
import { z } from 'zod';
import { openContextOf } from '../../shared/target.ts';
import { openedSessionOf } from '../session.ts';
import { answered, failed, SESSION_ID, type Tool, tool } from './tool.ts';

const INPUT = z.strictObject({ session_id: SESSION_ID.optional() });
const OUTPUT = z.object({ session_id: z.string(), ok: z.boolean() });

/** Gives the session a fresh kernel. */
export const restartSession: Tool = tool({
  name: 'restart_session',
  title: 'Restart the Python kernel',
  description:
    'Starts a fresh Python kernel in the session: variables and imports are gone, files stay. Running code is stopped.',
  input: INPUT,
  output: OUTPUT,
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false },
  run: async (call, { session_id: given }) => {
    const { id: session_id, place } = openedSessionOf(call, given);
    const contextId = await openContextOf(call.service, place);
    if (contextId === undefined) return noSession();
    await call.service.restartKernel(place.userUuid, contextId);
    return answered({ session_id, ok: true });
  },
});

export const releaseSession: Tool = tool({
  name: 'release_session',
  title: 'End the session',
  description:
    'Ends the session when it is not needed any more: running code is stopped, and its variables and files are deleted.',
  input: INPUT,
  output: OUTPUT.extend({ ok: z.boolean().describe('False: there was no such session.') }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true },
  run: async (call, { session_id: given }) => {
    const { service } = call;
    const { id: session_id, place } = openedSessionOf(call, given);
    if (place.contextName === null)
      return answered({ session_id, ok: (await service.release(place.userUuid)) !== null });
    const contextId = await openContextOf(service, place);
    const ok = contextId != null && (await service.deleteContext(place.userUuid, contextId));
    return answered({ session_id, ok });
  },
});

function noSession() {
  return failed('NOT_FOUND: There is no such session. execute_code begins one.');
}
