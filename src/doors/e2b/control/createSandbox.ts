/** `POST /sandboxes` and `POST /v2/sandboxes`. */
import { DomainError } from '../../../domain/errors.ts';
import { singleUser } from '../../../domain/users.ts';
import type { DoorCall } from '../../openDoor.ts';
import { readJson } from '../../shared/body.ts';
import { answerJson } from '../answer.ts';
import { newSandboxId, userOf } from '../sandbox/names.ts';
import { sandboxModel } from './models.ts';
import { NEW_SANDBOX, readNewSandbox } from './newSandbox.ts';
import type { ControlCall } from './route.ts';
import { templateIdOf } from './template.ts';

/** Answers when the sandbox can be used: the SDKs do not ask again. @throws DomainError */
export async function createSandbox({ call, deps }: ControlCall): Promise<void> {
  const { service, principal, res } = call;
  const body = await readJson(call, NEW_SANDBOX);
  requireManyUsers(call);
  const sandboxId = newSandboxId();
  const wanted = readNewSandbox(body, sandboxId, deps.settings);
  const userUuid = userOf(principal, sandboxId);
  const opening = service.openSession({ userUuid, ...wanted });
  const session = await opening.catch((error: unknown) => {
    throw asUnknownTemplate(error, wanted.environment);
  });
  const key = await service.sessionKey(userUuid).catch(async (error: unknown) => {
    await service.release(userUuid);
    throw error;
  });
  // Nobody was told its id, so nobody could use or kill it: whether the client left, or this gateway stops.
  if (res.destroyed) await service.release(userUuid);
  else answerJson(res, 201, sandboxModel(session, sandboxId, key));
}

/** @throws FORBIDDEN */
function requireManyUsers({ principal }: DoorCall): void {
  if (singleUser(principal.users) === null) return;
  throw new DomainError(
    'FORBIDDEN',
    'This key is for one user, and each sandbox is a session of a user of its own. Use a key for a whole tenant, or for the users with a prefix.',
  );
}

function asUnknownTemplate(error: unknown, environment: string | null): unknown {
  const isUnknown = error instanceof DomainError && error.code === 'NOT_FOUND';
  if (!isUnknown || environment === null) return error;
  const message = `The template "${templateIdOf(environment)}" was not found. A template is the name of an environment.`;
  return new DomainError('NOT_FOUND', message, {}, { cause: error });
}
