/** The body of a request for a new sandbox, as options of a session. */
import type { EnvironmentVariable } from '../../../service/validate.ts';
import type { DoorSettings } from '../../openDoor.ts';
import { type Fields, isFields } from '../../shared/fields.ts';
import { isSet, objectOf, refuse, stringsOf } from './body.ts';
import { egressAllowOf } from './network.ts';
import { msOf } from './seconds.ts';
import { environmentOf, templateIdOf } from './template.ts';

/** How long a sandbox lives if nothing was said: what the SDKs tell their users. */
export const DEFAULT_TIMEOUT_SECONDS = 300;

export interface NewSandbox {
  readonly environment: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly environmentVariables: readonly EnvironmentVariable[];
  readonly maxLifeMs: number;
  /** Only the end of its life ends a sandbox. */
  readonly idleTimeoutMs: number;
  readonly egressAllow: readonly string[] | null;
}

/** Fields that are not here are ignored, since new ones come often. @throws BAD_USER_INPUT */
export function readNewSandbox(
  body: Fields,
  sandboxId: string,
  { longestSessionLifeMs: maxMs }: Pick<DoorSettings, 'longestSessionLifeMs'>,
): NewSandbox {
  refuseUnsupported(body);
  const { templateID: template } = body;
  if (typeof template !== 'string' || template === '')
    return refuse('templateID must be the name of a template.');
  isSet('secure', body.secure);
  const environment = environmentOf(template);
  // A program in a sandbox may hand on its whole environment.
  const named = { ...stringsOf('envVars', body.envVars), ...givenBy(sandboxId, environment) };
  const timeout = { minSeconds: 1, maxMs, defaultSeconds: DEFAULT_TIMEOUT_SECONDS };
  return {
    environment,
    metadata: stringsOf('metadata', body.metadata),
    environmentVariables: Object.entries(named).map(([name, value]) => ({ name, value })),
    maxLifeMs: msOf('timeout', body.timeout, timeout),
    idleTimeoutMs: maxMs,
    egressAllow: egressAllowOf(body.allow_internet_access, body.network),
  };
}

/** Programs find in these that they run in a sandbox, and in which. They replace the caller's of the same name. */
function givenBy(sandboxId: string, environment: string | null): Readonly<Record<string, string>> {
  return {
    E2B_SANDBOX: 'true',
    E2B_SANDBOX_ID: sandboxId,
    E2B_TEMPLATE_ID: templateIdOf(environment),
  };
}

function refuseUnsupported({ autoPause, autoResume, ...body }: Fields): void {
  if (isSet('autoPause', autoPause))
    refuse('autoPause is not supported: a sandbox cannot be paused. It ends at its timeout.');
  if (isSet('autoResume.enabled', objectOf('autoResume', autoResume).enabled))
    refuse('autoResume is not supported: a sandbox cannot be paused.');
  if (body.mcp != null) refuse('mcp is not supported.');
  const { iam, volumeMounts } = body;
  if (iam != null && !hasNoTokens(iam)) refuse('iam is not supported.');
  if (volumeMounts != null && !(Array.isArray(volumeMounts) && volumeMounts.length === 0))
    refuse('volumeMounts is not supported: there are no volumes.');
}

function hasNoTokens(iam: unknown): boolean {
  return isFields(iam) && Object.keys(objectOf('iam.tokens', iam.tokens)).length === 0;
}
