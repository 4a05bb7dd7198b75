/** The body of a request for a new sandbox, as options of a session. */
import { z } from 'zod';
import type { EnvironmentVariable } from '../../../service/validate.ts';
import type { DoorSettings } from '../../openDoor.ts';
import { optionalBody, texts } from '../../shared/body.ts';
import { FLAG, SECONDS } from './body.ts';
import { egressAllowOf, NETWORK } from './network.ts';
import { msOf } from './seconds.ts';
import { environmentOf, templateIdOf } from './template.ts';

/** How long a sandbox lives if nothing was said: what the SDKs tell their users. */
export const DEFAULT_TIMEOUT_SECONDS = 300;

const NO_TEMPLATE = 'must be the name of a template.';
const NO_PAUSE = 'is not supported: a sandbox cannot be paused.';
const NO_IAM = 'is not supported.';
const TEXTS = texts('must be an object of strings.');

/** Fields that are not here are ignored, since new ones come often. */
export const NEW_SANDBOX = optionalBody({
  templateID: z.string(NO_TEMPLATE).min(1, NO_TEMPLATE),
  timeout: SECONDS,
  metadata: TEXTS,
  envVars: TEXTS,
  secure: FLAG,
  allow_internet_access: FLAG,
  network: NETWORK,
  autoPause: FLAG.refine((isOn) => !isOn, `${NO_PAUSE} It ends at its timeout.`),
  autoResume: z
    .object({ enabled: FLAG }, 'must be an object.')
    .nullish()
    .refine((resume) => !resume?.enabled, NO_PAUSE),
  mcp: z.null('is not supported.').optional(),
  iam: z.object({ tokens: z.strictObject({}, NO_IAM).nullish() }, NO_IAM).nullish(),
  volumeMounts: z.tuple([], 'is not supported: there are no volumes.').nullish(),
});

export interface NewSandbox {
  readonly environment: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly environmentVariables: readonly EnvironmentVariable[];
  readonly maxLifeMs: number;
  /** Only the end of its life ends a sandbox. */
  readonly idleTimeoutMs: number;
  readonly egressAllow: readonly string[] | null;
}

/** @throws BAD_USER_INPUT */
export function readNewSandbox(
  body: z.output<typeof NEW_SANDBOX>,
  sandboxId: string,
  { longestSessionLifeMs: maxMs }: Pick<DoorSettings, 'longestSessionLifeMs'>,
): NewSandbox {
  const environment = environmentOf(body.templateID);
  // A program in a sandbox may hand on its whole environment.
  const named = { ...body.envVars, ...givenBy(sandboxId, environment) };
  const timeout = { minSeconds: 1, maxMs, defaultSeconds: DEFAULT_TIMEOUT_SECONDS };
  return {
    environment,
    metadata: body.metadata ?? {},
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
