/** `Environment`, and the operations on environments. Everybody may list them; all else is for operators. */
import type { InstalledPackage } from '../domain/environment.ts';
import type { OutputItem } from '../domain/output.ts';
import type { EnvironmentView } from '../service/environments/environments.ts';
import { builder, connectionOf, pageArgs } from './builder.ts';
import { type ItemOf, StreamName } from './output.ts';

const EnvironmentState = builder.enumType('EnvironmentState', {
  description: 'The state of the build of a version.',
  values: {
    BUILDING: { value: 'BUILDING', description: 'It waits for its build, or is being built.' },
    READY: { value: 'READY', description: 'It can serve sessions.' },
    FAILED: { value: 'FAILED', description: 'It could not be built: `failure` says why.' },
  } as const,
});

const PackageSource = builder.enumType('PackageSource', {
  description: 'What installed a package.',
  values: {
    APT: { value: 'apt', description: 'It is a Debian package.' },
    PIP: { value: 'pip', description: 'It is a Python package.' },
  } as const,
});

const EnvironmentPackage = builder.objectRef<InstalledPackage>('EnvironmentPackage').implement({
  description: 'A package that the build has installed, or has brought to another version.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name.' }),
    version: t.exposeString('version', { description: 'Its version.' }),
    from: t.expose('from', { type: PackageSource, description: 'What installed it.' }),
  }),
});

const FOR_OPERATORS = 'Null for all but operators.';

export const Environment = builder.objectRef<EnvironmentView>('Environment').implement({
  description:
    'One version of an environment: what workers have in addition to the worker image. The newest READY version serves new sessions.',
  fields: (t) => ({
    name: t.string({
      description: 'The name, which all of its versions have.',
      resolve: ({ environment }) => environment.name,
    }),
    version: t.int({
      description: 'The number of the version, from 1.',
      resolve: ({ environment }) => environment.number,
    }),
    state: t.field({
      type: EnvironmentState,
      description: 'The state of its build. It stays the same when the version is removed.',
      resolve: ({ environment }) => environment.state,
    }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When it was created.',
      resolve: ({ environment }) => environment.requestedAt,
    }),
    finishedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When its build ended. Null if it has not ended.',
      resolve: ({ environment }) => environment.finishedAt,
    }),
    removedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'When it was removed. Since then it serves no new session. Null if it is not removed.',
      resolve: ({ environment }) => environment.removedAt,
    }),
    bytes: t.field({
      type: 'Int53',
      nullable: true,
      description: 'The size of its image, with the worker image. Null until it is READY.',
      resolve: ({ environment }) => environment.bytes,
    }),
    packages: t.field({
      type: [EnvironmentPackage],
      description: 'What the build has installed. Empty until it is READY.',
      resolve: ({ environment }) => [...environment.packages],
    }),
    preload: t.stringList({
      description:
        'The modules that every kernel imports in advance, in addition to the usual ones.',
      resolve: ({ environment }) => [...environment.spec.preload],
    }),
    apt: t.stringList({
      nullable: true,
      description: `The Debian packages that were asked for. ${FOR_OPERATORS}`,
      resolve: (view) => seen(view, ({ environment }) => [...environment.spec.apt]),
    }),
    pip: t.stringList({
      nullable: true,
      description: `The requirements of pip that were asked for. ${FOR_OPERATORS}`,
      resolve: (view) => seen(view, ({ environment }) => [...environment.spec.pip]),
    }),
    index: t.string({
      nullable: true,
      description: `The index of pip, if one was given. ${FOR_OPERATORS}`,
      resolve: (view) => seen(view, ({ environment }) => environment.spec.index),
    }),
    setup: t.string({
      nullable: true,
      description: `The set-up script, if one was given. ${FOR_OPERATORS}`,
      resolve: (view) => seen(view, ({ environment }) => environment.spec.setup),
    }),
    failure: t.string({
      nullable: true,
      description: `Why its build failed, in one sentence. ${FOR_OPERATORS}`,
      resolve: (view) => seen(view, ({ environment }) => environment.failure),
    }),
    lastLines: t.string({
      nullable: true,
      description: `The last lines that a failed build printed. ${FOR_OPERATORS}`,
      resolve: (view) => seen(view, ({ environment }) => environment.lastLines),
    }),
  }),
});

function seen<T>(view: EnvironmentView, read: (view: EnvironmentView) => T): T | null {
  return view.isWhole ? read(view) : null;
}

const CreateEnvironmentInput = builder.inputType('CreateEnvironmentInput', {
  description: 'The content of an environment: at least one of apt, pip, setup and preload.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: '1 to 63 of the characters a-z 0-9 -, without a dash at its ends.',
    }),
    apt: t.stringList({ description: 'Names of Debian packages; `name=version` is possible.' }),
    pip: t.stringList({ description: 'Lines of a requirements file, without options.' }),
    index: t.string({
      description:
        "The index of pip: a URL, or an absolute folder of the gateway's machine with wheels and source archives. Left out: the default index of pip.",
    }),
    setup: t.string({
      description: 'A script that runs as root in the build, after the packages are installed.',
    }),
    preload: t.stringList({ description: 'Modules that every kernel imports in advance.' }),
    rebuild: t.boolean({
      defaultValue: false,
      description: 'Whether a new version is built even if the newest one has the same content.',
    }),
  }),
});

const name = { required: true, description: 'The name of the environment.' } as const;
const version = { description: 'One of its versions. Left out: the newest.' } as const;

builder.queryFields((t) => ({
  environments: t.field({
    type: connectionOf('Environment', Environment),
    description:
      'All versions of all environments, without removed ones. They are sorted by name, then newest first.',
    args: pageArgs,
    resolve: (_root, page, { service, principal }) => service.environmentPage(principal, page),
  }),
  environment: t.field({
    type: Environment,
    nullable: true,
    description: 'A version of an environment. Null if there is none, or if it was removed.',
    args: { name: t.arg.string(name), version: t.arg.int(version) },
    resolve: (_root, args, { service, principal }) =>
      service.environment(principal, args.name, args.version ?? null),
  }),
}));

const RemoveEnvironmentInput = builder.inputType('RemoveEnvironmentInput', {
  description: 'The environment to remove.',
  fields: (t) => ({ name: t.string(name) }),
});

builder.mutationFields((t) => ({
  createEnvironment: t.field({
    type: Environment,
    description:
      'Creates an environment, or a new version of it. A gateway then builds it; only one version is built at a time. If the newest version that has not failed has the same content and the same worker image, the call returns that version.',
    args: {
      input: t.arg({
        type: CreateEnvironmentInput,
        required: true,
        description: 'The content of the environment.',
      }),
    },
    resolve: (_root, { input }, { service, principal }) =>
      service.createEnvironment(principal, input),
  }),
  removeEnvironment: t.field({
    type: Environment,
    description:
      'Removes all versions of an environment. Its open sessions continue. A running build is stopped.',
    args: {
      input: t.arg({
        type: RemoveEnvironmentInput,
        required: true,
        description: 'The environment to remove.',
      }),
    },
    resolve: (_root, { input }, { service, principal }) =>
      service.removeEnvironment(principal, input.name),
  }),
}));

// `EnvironmentBuildEvent` and its kinds: the log of a build.

const BuildEvent = builder.interfaceRef<OutputItem>('EnvironmentBuildEvent').implement({
  description: 'One item of the log of a build.',
  resolveType: ({ output }) => BUILD_TYPES[output.kind] ?? 'BuildOutput',
  fields: (t) => ({
    seq: t.exposeInt('seq', { description: 'Its place in the log: from 1, without holes.' }),
    at: t.expose('at', { type: 'DateTime', description: 'When the gateway recorded it.' }),
  }),
});

const BUILD_TYPES: { readonly [Kind in OutputItem['output']['kind']]?: string } = {
  gap: 'BuildGap',
  error: 'BuildFailed',
  finish: 'BuildSucceeded',
};

builder.objectRef<ItemOf<'stream'>>('BuildOutput').implement({
  description: 'Text of a build.',
  interfaces: [BuildEvent],
  fields: (t) => ({
    stream: t.field({
      type: StreamName,
      description: 'STDOUT: the build printed the text. STDERR: the gateway wrote it.',
      resolve: ({ output }) => output.name,
    }),
    text: t.string({ description: 'The text.', resolve: ({ output }) => output.text }),
  }),
});

builder.objectRef<ItemOf<'gap'>>('BuildGap').implement({
  description: 'Stands for text that is not kept, because the log became too long.',
  interfaces: [BuildEvent],
  fields: (t) => ({
    droppedBytes: t.field({
      type: 'Int53',
      nullable: true,
      description: 'How many bytes are missing. Null if unknown.',
      resolve: ({ output }) => output.droppedBytes,
    }),
  }),
});

builder.objectRef<ItemOf<'error'>>('BuildFailed').implement({
  description: 'The build has failed. This is its last event.',
  interfaces: [BuildEvent],
  fields: (t) => ({
    reason: t.string({
      description: 'Why, in one sentence.',
      resolve: ({ output }) => output.value,
    }),
  }),
});

builder.objectRef<ItemOf<'finish'>>('BuildSucceeded').implement({
  description: 'The version is ready. This is the last event of the build.',
  interfaces: [BuildEvent],
});

builder.subscriptionField('environmentBuild', (t) =>
  t.field({
    type: BuildEvent,
    description:
      "The log of an environment's build: first stored events, then new ones. The last is BuildSucceeded or BuildFailed. If the version is removed before it is built, the log ends without either.",
    args: {
      name: t.arg.string(name),
      version: t.arg.int(version),
      after: t.arg.int({
        defaultValue: 0,
        description: 'Only events with a higher `seq`. 0: all.',
      }),
    },
    subscribe: (_root, args, { service, principal }) =>
      service.followBuild(principal, args.name, args.version ?? null, args.after ?? 0),
    resolve: (item) => item,
  }),
);
