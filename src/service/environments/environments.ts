/** The operations on environments. An environment adds packages to the worker image. */
import {
  type Environment,
  type EnvironmentSpec,
  isEnvironmentName,
} from '../../domain/environment.ts';
import { messageOf } from '../../domain/errors.ts';
import type { EnvironmentId } from '../../domain/ids.ts';
import type { OutputItem } from '../../domain/output.ts';
import { quoted } from '../../domain/text.ts';
import { logOf } from '../../environments/buildLog.ts';
import { requestEnvironment } from '../../environments/requestEnvironment.ts';
import { removeVersion } from '../../environments/upkeep.ts';
import { validateOutputRange } from '../answer/renderedText.ts';
import { followOutput } from '../output/followOutput.ts';
import type { Principal } from '../principal.ts';
import { notFound } from '../refusal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { refuse, validateName } from '../validate.ts';

interface EnvironmentInput {
  readonly name: string;
  readonly apt?: readonly string[] | null | undefined;
  readonly pip?: readonly string[] | null | undefined;
  readonly index?: string | null | undefined;
  readonly setup?: string | null | undefined;
  readonly preload?: readonly string[] | null | undefined;
  /** Whether a new version is built even if the newest one is the same. */
  readonly rebuild?: boolean | null | undefined;
}

/** These limits are far above the needs of environments, and keep the event small. */
const MAX_ENTRIES = 1_000;
const MAX_ENTRY_CHARS = 1_000;
const MAX_SETUP_CHARS = 262_144;

/** URLs are recorded, so everybody who reads the records would see the password. */
const PASSWORD = 'must not contain a password';

/**
 * The name of a Debian package, with an optional architecture and version. It must not end with a dash, which apt would
 * take for a removal.
 */
const DEBIAN_PACKAGE = /^[a-z0-9][a-z0-9+.-]*[a-z0-9+.](:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?$/;
const MODULE = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/;

/** @throws BAD_USER_INPUT */
function validateEnvironmentName(name: string): string {
  if (isEnvironmentName(name)) return name;
  return refuse(
    'name',
    'must be 1 to 63 of the characters a-z 0-9 -, without a dash at its ends',
    {},
  );
}

/** @throws BAD_USER_INPUT */
function validateEnvironmentSpec(input: EnvironmentInput): EnvironmentSpec {
  const spec: EnvironmentSpec = {
    apt: entries('apt', input.apt, 'the name of a Debian package', DEBIAN_PACKAGE),
    pip: requirements(input.pip ?? []),
    index: input.index == null ? null : validateIndex(input.index),
    setup: input.setup == null ? null : validateSetup(input.setup),
    preload: entries('preload', input.preload, 'the name of a module', MODULE),
  };
  const { apt, pip, index, setup, preload } = spec;
  if (index !== null && pip.length === 0) refuse('index', 'has no use without pip', {});
  if (apt.length + pip.length + preload.length === 0 && setup === null)
    refuse('name', 'is not enough: give at least one of apt, pip, setup and preload', {});
  return spec;
}

function entries(
  field: string,
  given: readonly string[] | null | undefined,
  what: string,
  pattern: RegExp,
): readonly string[] {
  const list = given ?? [];
  requireCount(field, list);
  for (const entry of list)
    if (entry.length > MAX_ENTRY_CHARS || !pattern.test(entry))
      refuse(field, `has ${quoted(entry.slice(0, MAX_ENTRY_CHARS))}, which is not ${what}`, {});
  return list;
}

/** The lines of a requirements file, without comments and with continued lines joined, as pip reads them. */
function requirements(given: readonly string[]): readonly string[] {
  requireCount('pip', given);
  for (const line of given) validateName('pip', line, MAX_ENTRY_CHARS);
  const lines = given.join('\n').replaceAll('\\\n', ' ').split('\n');
  const needed = lines.map((line) => line.replace(/(^|\s)#.*$/, '').trim()).filter((l) => l !== '');
  for (const line of needed) {
    // An option could name another index, or another file of the machine.
    if (line.startsWith('-') || /\p{Cc}/u.test(line))
      refuse('pip', `has the line ${quoted(line)}, which is not a requirement`, {});
    if (/:\/\/[^/\s]*@/.test(line)) refuse('pip', PASSWORD, {});
  }
  return needed;
}

function requireCount(field: string, list: readonly string[]): void {
  if (list.length <= MAX_ENTRIES) return;
  refuse(field, `has ${list.length} entries, at most ${MAX_ENTRIES} are allowed`, {
    limit: MAX_ENTRIES,
  });
}

function validateIndex(index: string): string {
  validateName('index', index, MAX_ENTRY_CHARS);
  if (index.startsWith('/')) return index;
  const url = URL.canParse(index) ? new URL(index) : null;
  // The URL becomes a quoted word of a shell command in the build.
  if (url === null || !/^https?:$/.test(url.protocol) || /['\s\\]/.test(index))
    refuse('index', 'must be an http:// or https:// URL, or a folder that begins with /', {});
  if (url?.username || url?.password) refuse('index', PASSWORD, {});
  return index;
}

function validateSetup(setup: string): string {
  validateName('setup', setup, MAX_SETUP_CHARS);
  return setup;
}

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
  return environmentViewOf(principal, version);
}

/**
 * Removes all versions of an environment. Open sessions keep their version. A build that is under way is cancelled.
 * Resolves with the newest version.
 * @throws NOT_FOUND, BAD_USER_INPUT
 */
export async function removeEnvironment(
  { database, now }: Pick<ServiceDeps, 'database' | 'now'>,
  principal: Principal,
  name: string,
): Promise<EnvironmentView> {
  const { versionsOf } = database.queries;
  const [newest, ...former] = await versionsOf(validateEnvironmentName(name));
  if (newest === undefined) throw notFound('environment', name);
  // The newest version is removed last. Otherwise an older version would serve new sessions in between.
  for (const { id } of former.reverse()) await removeVersion({ database, now }, id, 'removed');
  const removed = await removeVersion({ database, now }, newest.id, 'removed');
  // Meanwhile, a gateway may have requested another version that replaces one of these.
  for (const { id, reason } of await versionsOf(name))
    if (reason !== 'asked') await removeVersion({ database, now }, id, 'removed');
  return environmentViewOf(principal, removed ?? newest);
}

/** A version of an environment as a principal may see it. */
export interface EnvironmentView {
  readonly environment: Environment;
  /** Whether the principal may see its specification. A set-up script may contain secrets of operators. */
  readonly isWhole: boolean;
}

/** All versions that are not removed, by name, the newest of each first. */
export async function environments(
  { database }: Pick<ServiceDeps, 'database'>,
  principal: Principal,
): Promise<readonly EnvironmentView[]> {
  const all = await database.queries.environments();
  return all.map((environment) => environmentViewOf(principal, environment));
}

/**
 * The newest version of a name, or the one with this number. Null: there is none, or it was removed.
 * @throws BAD_USER_INPUT for text that cannot be a name
 */
export async function environment(
  { database }: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  name: string,
  version: number | null = null,
): Promise<EnvironmentView | null> {
  const versions = await database.queries.versionsOf(validateEnvironmentName(name));
  const found = versions.find(({ number }) => version === null || number === version);
  return found ? environmentViewOf(principal, found) : null;
}

export function environmentViewOf({ role }: Principal, found: Environment): EnvironmentView {
  return { environment: found, isWhole: role === 'OPERATOR' };
}

/** @throws NOT_FOUND, BAD_USER_INPUT */
async function requireVersion(
  deps: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  name: string,
  version: number | null,
): Promise<Environment> {
  const found = await environment(deps, principal, name, version);
  if (found === null)
    throw notFound('environment', version === null ? name : `${name}, version ${version}`);
  return found.environment;
}

/**
 * The output of the build of a version after `after`: first the stored output, then live output up to the end of the
 * build. The last item is the reason of the failure, or the finish if the version is ready.
 * @throws NOT_FOUND, BAD_USER_INPUT before the first item
 */
export async function followBuild(
  deps: Pick<ServiceDeps, 'database' | 'sharedOutput'>,
  principal: Principal,
  name: string,
  version: number | null,
  after: number,
): Promise<AsyncIterableIterator<OutputItem>> {
  validateOutputRange({ after });
  const { id } = await requireVersion(deps, principal, name, version);
  const items = followOutput(deps, logOf(id), after, principal.tokenEnd);
  return await upToTheEnd(deps, id, items);
}

/**
 * The items up to the finish, which is left out unless the version is ready. A version that is removed while it is
 * built gets no finish, so its removal ends the items, too.
 */
async function upToTheEnd(
  { database: { wakeUps, queries } }: Pick<ServiceDeps, 'database'>,
  id: EnvironmentId,
  items: AsyncIterableIterator<OutputItem>,
): Promise<AsyncIterableIterator<OutputItem>> {
  let failure: { readonly error: unknown } | null = null;
  let isOver = false;
  const off = wakeUps.onEvent(({ event, streamId }) => {
    if (event.type === 'EnvironmentRemoved' && streamId === id) void endIfBroken();
  });
  /**
   * Ends the items if the version was removed before its build ended. After the end of the build, the log has a finish,
   * and the items go on up to the finish.
   */
  async function endIfBroken(): Promise<void> {
    try {
      const version = await queries.environmentVersion(id);
      const isBroken = version === null || (version.state === 'BUILDING' && version.removedAt);
      if (!isBroken) return;
    } catch (error: unknown) {
      failure = { error };
    }
    await close();
  }
  async function close(): Promise<IteratorReturnResult<undefined>> {
    off();
    await items.return?.();
    return { done: true, value: undefined };
  }
  // The version may have been removed before the listener was added.
  await endIfBroken();
  const followed: AsyncIterableIterator<OutputItem> = {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: async () => {
      try {
        const next = isOver ? null : await items.next();
        if (next && !next.done) {
          isOver = next.value.output.kind === 'finish';
          if (!isOver || (await queries.environmentVersion(id))?.state === 'READY') return next;
        }
      } catch (error: unknown) {
        failure ??= { error };
      }
      const end = await close();
      if (failure !== null) throw failure.error;
      return end;
    },
    return: close,
  };
  return followed;
}
