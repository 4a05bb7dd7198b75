import { messageOf } from '../../domain/errors.ts';
import { requestEnvironment } from '../../environments/requestEnvironment.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { refuse } from '../validate.ts';
import { type EnvironmentView, viewOf } from './environments.ts';
import {
  type EnvironmentInput,
  validateEnvironmentName,
  validateEnvironmentSpec,
} from './validateEnvironmentSpec.ts';

/**
 * Requests a new version of an environment, which one of the gateways then builds. If the newest version that has not
 * failed has the same content, resolves with that version instead, unless a rebuild is asked for.
 * @throws BAD_USER_INPUT
 */
export async function createEnvironment(
  {
    database,
    environments,
    newId,
    now,
  }: Pick<ServiceDeps, 'database' | 'environments' | 'newId' | 'now'>,
  principal: Principal,
  input: EnvironmentInput,
): Promise<EnvironmentView> {
  const name = validateEnvironmentName(input.name);
  const spec = validateEnvironmentSpec(input);
  const baseImageId = await environments.baseImageId();
  const hash = await environments
    .hashOf(spec, baseImageId)
    .catch((error: unknown) =>
      refuse('index', `cannot be read on the gateway's machine (${messageOf(error)})`, {}),
    );
  const facts = { name, spec, reason: 'asked', baseImageId, hash } as const;
  const isRebuild = input.rebuild ?? false;
  const version = await requestEnvironment({ database, newId, now }, { ...facts, isRebuild });
  return viewOf(principal, version);
}
