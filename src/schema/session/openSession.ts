/** `openSession` and `extendSession`. */
import { builder } from '../builder.ts';
import { EnvironmentVariableInput } from './environmentVariable.ts';
import { Session } from './session.ts';

const OpenSessionInput = builder.inputType('OpenSessionInput', {
  description:
    'A user, and what the session of the user shall be. Options that are null are not asked for.',
  fields: (t) => ({
    userUuid: t.string({ required: true, description: 'The user.' }),
    environmentVariables: t.field({
      type: [EnvironmentVariableInput],
      description:
        'Environment variables of the code and of what it starts: at most MAX_ENVIRONMENT_VARIABLES, of MAX_ENVIRONMENT_BYTES together.',
    }),
    metadata: t.field({
      type: 'JSON',
      description:
        'Notes on the session, which lists can be filtered by: an object of strings. At most MAX_SESSION_METADATA_KEYS keys and MAX_SESSION_METADATA_BYTES in UTF-8.',
    }),
    idleTimeoutMs: t.float({
      description:
        'The session ends after so many milliseconds without a use: at least 1,000, at most LONGEST_SESSION_LIFE_MS. Default SESSION_IDLE_TIMEOUT_MS.',
    }),
    maxLifeMs: t.float({
      description:
        'The session ends so many milliseconds after its opening, even if it is in use: at least 1,000, at most LONGEST_SESSION_LIFE_MS. Default SESSION_MAX_LIFE_MS.',
    }),
    egressAllow: t.stringList({
      description:
        'The hosts that the code may reach, such as pypi.org or *.example.org:8443, at most 64. They only narrow what EGRESS_ALLOW and the tenant allow. Left out: all of that. An empty list: nothing.',
    }),
    environment: t.string({
      description:
        'The name of the environment whose packages the session has, in its newest version that is ready. Null: those of the worker image alone.',
    }),
    waitForWorkerMs: t.int({
      description:
        'How long to wait for a worker, in milliseconds, including its creation. Default and maximum WORKER_WAIT_TIMEOUT_MS.',
    }),
  }),
});

builder.mutationFields((t) => ({
  openSession: t.field({
    type: Session,
    description:
      "Opens the user's session with options, or returns the open one if its options are the same. Answers when the session has its worker. Runs no code.",
    args: {
      input: t.arg({
        type: OpenSessionInput,
        required: true,
        description: 'The user and the options.',
      }),
    },
    resolve: (_root, { input }, { service, principal }) => service.openSession(principal, input),
  }),
  extendSession: t.field({
    type: Session,
    description:
      "Moves the end of the life of the user's open session to so many milliseconds from now, later or earlier than before.",
    args: {
      userUuid: t.arg.string({ required: true, description: 'The user.' }),
      lifeMs: t.arg.float({
        required: true,
        description:
          'Milliseconds from now. 0 ends the session at once. Counted from its opening, the session lives at most LONGEST_SESSION_LIFE_MS.',
      }),
    },
    resolve: (_root, { userUuid, lifeMs }, { service, principal }) =>
      service.extendSession(principal, userUuid, lifeMs),
  }),
}));
