/**
 * The life of one version of an environment: an image that the engine builds on the worker image, with further
 * packages. Each version has a stream of its own. The versions of one name are numbered from 1.
 *
 * ```
 *  (none) --request--> BUILDING --record build--> READY
 *                      BUILDING --record failure--> FAILED
 *                      BUILDING, READY, FAILED --remove--> removed
 * ```
 * Of the READY versions of a name that are not removed, the newest serves new sessions. A version that failed changes
 * nothing.
 */
import { type Event, missingStart, WrongStateError } from './decider.ts';
import type { EnvironmentId } from './ids.ts';

/** What an operator asks for. Everything in it runs or is installed as root, in the build, outside of any worker. */
export interface EnvironmentSpec {
  /** Names of Debian packages. */
  readonly apt: readonly string[];
  /** Lines of a requirements file. */
  readonly pip: readonly string[];
  /** The index of pip: a URL, or an absolute folder of the gateway's machine. Null: pip's own. */
  readonly index: string | null;
  /** The text of a script that runs after the packages are installed. */
  readonly setup: string | null;
  /** Modules that are already imported when a kernel starts. */
  readonly preload: readonly string[];
}

/** A package that the build has added to the worker image, or has changed there. */
export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
  readonly from: 'apt' | 'pip';
}

export type EnvironmentState = 'BUILDING' | 'READY' | 'FAILED';

/**
 * `asked`: an operator asked for it. `base-changed`: the previous version is built on another worker image.
 * `image-lost`: the engine no longer has the image of the previous version.
 */
export type EnvironmentReason = 'asked' | 'base-changed' | 'image-lost';

/**
 * `removed`: an operator removed the environment. `superseded`: a newer version serves, and no worker of this version
 * is left.
 */
export type EnvironmentRemoveReason = 'removed' | 'superseded';

/** What is known of a version before it is built. */
interface EnvironmentFacts {
  readonly name: string;
  /** The number of this version among those of the same name, from 1. */
  readonly number: number;
  readonly reason: EnvironmentReason;
  readonly spec: EnvironmentSpec;
  /** The id of the worker image that it is built on. */
  readonly baseImageId: string;
  /** Hash of the spec, the id of the worker image, and the content of the index if that is a folder. In hexadecimal. */
  readonly hash: string;
}

export type EnvironmentEvent =
  | Event<'EnvironmentRequested', EnvironmentFacts & { environmentId: EnvironmentId }>
  | Event<
      'EnvironmentBuilt',
      {
        imageId: string;
        /** Size of the image, that of the worker image included. */
        bytes: number;
        packages: readonly InstalledPackage[];
      }
    >
  | Event<
      'EnvironmentBuildFailed',
      {
        /** One sentence. */
        failure: string;
        /** The last lines that the build printed. */
        lastLines: string;
      }
    >
  | Event<'EnvironmentRemoved', { reason: EnvironmentRemoveReason }>;

/** The state that the events of a version fold into, which is also its row. `version` is that of its stream. */
export interface Environment extends EnvironmentFacts {
  readonly id: EnvironmentId;
  readonly version: number;
  /** A removal does not change this state. */
  readonly state: EnvironmentState;
  readonly requestedAt: Date;
  /** When its build succeeded or failed. */
  readonly finishedAt: Date | null;
  /** Null until it is READY. */
  readonly imageId: string | null;
  readonly bytes: number | null;
  readonly packages: readonly InstalledPackage[];
  /** Null unless it is FAILED. */
  readonly failure: string | null;
  readonly lastLines: string | null;
  readonly removedAt: Date | null;
  readonly removeReason: EnvironmentRemoveReason | null;
}

type DataOf<T extends EnvironmentEvent['type']> = Extract<EnvironmentEvent, { type: T }>['data'];

export type EnvironmentCommand = { readonly at: string } & (
  | ({ readonly type: 'RequestEnvironment' } & Omit<DataOf<'EnvironmentRequested'>, 'at'>)
  | ({ readonly type: 'RecordEnvironmentBuild' } & Omit<DataOf<'EnvironmentBuilt'>, 'at'>)
  | ({ readonly type: 'RecordBuildFailure' } & Omit<DataOf<'EnvironmentBuildFailed'>, 'at'>)
  | { readonly type: 'RemoveEnvironment'; readonly reason: EnvironmentRemoveReason }
);

/**
 * The events that a command on a version records. Pure. A version that was removed records nothing more, not even the
 * end of its build.
 * @throws WrongStateError if the command does not fit the state
 */
export function decideEnvironment(
  command: EnvironmentCommand,
  environment: Environment | null,
): EnvironmentEvent[] {
  if (command.type === 'RequestEnvironment') {
    const { type, ...data } = command;
    if (environment !== null) throw new WrongStateError('environment', environment.state, type);
    return [{ type: 'EnvironmentRequested', data }];
  }
  if (environment === null) throw new WrongStateError('environment', 'not asked for', command.type);
  if (environment.removedAt !== null) return [];
  switch (command.type) {
    case 'RecordEnvironmentBuild': {
      const { type, ...data } = command;
      requireBuilding(environment, type);
      return [{ type: 'EnvironmentBuilt', data }];
    }
    case 'RecordBuildFailure': {
      const { type, ...data } = command;
      requireBuilding(environment, type);
      return [{ type: 'EnvironmentBuildFailed', data }];
    }
    case 'RemoveEnvironment': {
      const { at, reason } = command;
      return [{ type: 'EnvironmentRemoved', data: { at, reason } }];
    }
    default:
      return command satisfies never;
  }
}

function requireBuilding({ state }: Environment, command: string): void {
  if (state !== 'BUILDING') throw new WrongStateError('environment', state, command);
}

/**
 * The version after `event`. Pure. It accepts every recorded event.
 * @throws Error if the stream's first event is missing
 */
export function evolveEnvironment(state: Environment | null, event: EnvironmentEvent): Environment {
  const at = new Date(event.data.at);
  if (event.type === 'EnvironmentRequested')
    return requested(event.data, (state?.version ?? 0) + 1);
  if (state === null) throw missingStart(event.type);
  const next = { ...state, version: state.version + 1 };
  switch (event.type) {
    case 'EnvironmentBuilt': {
      const { at: _, ...built } = event.data;
      return { ...next, ...built, state: 'READY', finishedAt: at };
    }
    case 'EnvironmentBuildFailed': {
      const { at: _, ...failed } = event.data;
      return { ...next, ...failed, state: 'FAILED', finishedAt: at };
    }
    case 'EnvironmentRemoved':
      return { ...next, removedAt: at, removeReason: event.data.reason };
    default:
      return event satisfies never;
  }
}

function requested(
  { at, environmentId: id, ...facts }: DataOf<'EnvironmentRequested'>,
  version: number,
): Environment {
  return {
    id,
    version,
    ...facts,
    state: 'BUILDING',
    requestedAt: new Date(at),
    finishedAt: null,
    imageId: null,
    bytes: null,
    packages: [],
    failure: null,
    lastLines: null,
    removedAt: null,
    removeReason: null,
  };
}

/**
 * The name of an environment is used unchanged in the names of images and kernelspecs, and in commands. So it is in
 * lower case, with a letter or digit at both ends, such as `science-2`.
 */
const ENVIRONMENT_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export function isEnvironmentName(name: string): boolean {
  return ENVIRONMENT_NAME.test(name);
}
