/** The body of a request for a new sandbox, as options of a session. */
import { z } from 'zod';
import { DomainError } from '../../../domain/errors.ts';
import type { EnvironmentVariable } from '../../../service/validate.ts';
import type { DoorSettings } from '../../openDoor.ts';
import { optionalBody, texts } from '../../shared/body.ts';

// Schemas and checks that several bodies of the API share.

export const FLAG = z.boolean('must be true or false.').nullish();
export const SECONDS = z.int('must be a whole number of seconds.').nullish();

export function refuse(message: string): never {
  throw new DomainError('BAD_USER_INPUT', message, {});
}

const MS = 1_000;

interface SecondsRange {
  readonly minSeconds: number;
  readonly maxMs: number;
  /** Used if the value is absent. */
  readonly defaultSeconds?: number;
}

/** Seconds of a request, in milliseconds. @throws BAD_USER_INPUT */
export function msOf(
  name: string,
  value: number | null | undefined,
  { minSeconds, maxMs, defaultSeconds }: SecondsRange,
): number {
  const maxSeconds = Math.floor(maxMs / MS);
  // If sandboxes here may live less long than the default, the default is the longest life.
  const seconds = value ?? (defaultSeconds && Math.min(defaultSeconds, maxSeconds));
  if (seconds === undefined) return refuse(`${name} must be a whole number of seconds.`);
  if (seconds < minSeconds || seconds > maxSeconds)
    return refuse(
      `${name} is ${seconds} seconds, but must be from ${minSeconds} to ${maxSeconds}.`,
    );
  return seconds * MS;
}

// A template is an environment. The templates that the SDKs name by default mean a session without an environment.

/** E2B's own templates. All of them mean a session without an environment. */
const PLAIN_TEMPLATES: readonly string[] = ['code-interpreter-v1', 'base'];
/** The id that answers give for all of {@link PLAIN_TEMPLATES}. */
const PLAIN_TEMPLATE_ID = 'code-interpreter-v1';

/** The name of the template's environment. Null: no environment. @param template its name, or `<name>:<tag>` */
export function environmentOf(template: string): string | null {
  const name = template.split(':', 1)[0] ?? '';
  return PLAIN_TEMPLATES.includes(name) ? null : template;
}

/** The id of the template for this environment. */
export function templateIdOf(environment: string | null): string {
  return environment ?? PLAIN_TEMPLATE_ID;
}

// Converts between E2B's settings of a sandbox's network and the session's option `egressAllow`.

/** E2B's name for all hosts. */
const ALL_TRAFFIC = '0.0.0.0/0';

const HOSTS = z
  .custom<readonly string[]>(
    (value) => Array.isArray(value) && value.every((each) => typeof each === 'string'),
    'must be an array of strings.',
  )
  .nullish();

export const NETWORK = z
  .looseObject({ allowPublicTraffic: FLAG, allowOut: HOSTS, denyOut: HOSTS }, 'must be an object.')
  .nullish();

/**
 * The option `egressAllow` of the session. Null: everything that its tenant may reach. As in E2B, a host in `allowOut`
 * stays allowed even if it is also denied. Denying only some hosts is refused, because Cellhouse's rules can only
 * allow.
 * @param isInternetAllowed `allow_internet_access` of the request
 * @throws BAD_USER_INPUT
 */
export function egressAllowOf(
  isInternetAllowed: boolean | null | undefined,
  network: z.output<typeof NETWORK>,
): readonly string[] | null {
  const { allowPublicTraffic: _, allowOut, denyOut, ...others } = network ?? {};
  for (const [name, value] of Object.entries(others))
    if (value != null && !isNothing(value))
      refuse(`network.${name} is not supported. Only allowOut and denyOut are.`);
  const allowed = allowOut ?? [];
  const denied = denyOut ?? [];
  if (denied.some((each) => each !== ALL_TRAFFIC))
    refuse(
      `network.denyOut may only be "${ALL_TRAFFIC}", all traffic: list what is allowed in network.allowOut instead.`,
    );
  if (allowed.includes(ALL_TRAFFIC)) return null;
  const isAllDenied = denied.length > 0 || isInternetAllowed === false;
  if (isAllDenied) return allowed;
  if (allowed.length > 0)
    refuse(
      `network.allowOut without "${ALL_TRAFFIC}" in network.denyOut denies nothing. Add it, and only the listed hosts can be reached.`,
    );
  return null;
}

/** The fields that describe a sandbox's network. Empty if the network was not restricted. */
export function networkFields(egressAllow: readonly string[] | null): object {
  if (egressAllow === null) return {};
  const network = { allowOut: egressAllow, denyOut: [ALL_TRAFFIC] };
  return { network, ...(egressAllow.length === 0 && { allowInternetAccess: false }) };
}

/** Whether the value is an empty object or array, as clients without rules send it. */
function isNothing(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

/** How long a sandbox lives by default. The SDKs' documentation gives this number. */
export const DEFAULT_TIMEOUT_SECONDS = 300;

const NO_TEMPLATE = 'must be the name of a template.';
const NO_PAUSE = 'is not supported: a sandbox cannot be paused.';
const NO_IAM = 'is not supported.';
const TEXTS = texts('must be an object of strings.');

/** Unknown fields are ignored, because E2B often adds new ones. */
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

interface NewSandbox {
  readonly environment: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly environmentVariables: readonly EnvironmentVariable[];
  readonly maxLifeMs: number;
  /** As long as the longest life, so that a sandbox never ends as idle. */
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
  // The caller may itself run in a sandbox and pass on its environment, so ours replace these three names.
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

/** Environment variables by which a program knows that it runs in a sandbox, and in which one. */
function givenBy(sandboxId: string, environment: string | null): Readonly<Record<string, string>> {
  return {
    E2B_SANDBOX: 'true',
    E2B_SANDBOX_ID: sandboxId,
    E2B_TEMPLATE_ID: templateIdOf(environment),
  };
}
