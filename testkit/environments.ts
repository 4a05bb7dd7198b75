/** Environments of real gateways. Their builds need neither Debian packages nor an index. */
import type { TestGateway } from './gateway.ts';
import { until } from './until.ts';

const BUILD_TIMEOUT_MS = 120_000;

export interface EnvironmentInput {
  readonly name: string;
  readonly setup: string;
}

/** Creates an environment, and resolves with its version when it serves. @throws Error if it cannot be built */
export async function createTestEnvironment(
  gateway: TestGateway,
  input: EnvironmentInput,
): Promise<number> {
  const created = await gateway.graphql<{ createEnvironment: { version: number } }>(
    'mutation Create($input: CreateEnvironmentInput!) { createEnvironment(input: $input) { version } }',
    { input },
  );
  const version = created.data?.createEnvironment.version;
  if (version === undefined) throw new Error(JSON.stringify(created.errors));
  await until(
    `${input.name} is built`,
    async () => {
      const { data } = await gateway.graphql<{ environment: BuiltVersion | null }>(
        `query Built($name: String!, $version: Int!) {
          environment(name: $name, version: $version) { state failure lastLines } }`,
        { name: input.name, version },
      );
      const { state, failure, lastLines } = data?.environment ?? {};
      if (state === 'FAILED') throw new Error(`${failure}\n${lastLines}`);
      return state === 'READY';
    },
    BUILD_TIMEOUT_MS,
  );
  return version;
}

interface BuiltVersion {
  readonly state: string;
  readonly failure: string | null;
  readonly lastLines: string | null;
}

interface SessionIn {
  /** Null: the session has no environment. */
  readonly environment: { readonly name: string; readonly version: number } | null;
  readonly worker: { readonly environment: SessionIn['environment'] };
}

/** Opens a session of the user. @param environment its name. Null: the session has no environment */
export async function openSessionIn(
  gateway: TestGateway,
  userUuid: string,
  environment: string | null,
): Promise<SessionIn> {
  const { data, errors } = await gateway.graphql<{ openSession: SessionIn }>(
    `mutation Open($input: OpenSessionInput!) { openSession(input: $input) {
      environment { name version } worker { environment { name version } } } }`,
    { input: { userUuid, environment } },
  );
  if (!data) throw new Error(JSON.stringify(errors));
  return data.openSession;
}
