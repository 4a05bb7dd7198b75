/** Short functions for the GraphQL operations that tests use. */
import type { Client } from 'graphql-ws';
import type { TestGateway } from './gateway.ts';
import { until } from './until.ts';

export interface ExecutionResult {
  readonly id: string;
  readonly status: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly resultText: string | null;
  readonly resultBase64: string | null;
  readonly stateLost: boolean;
  readonly exitCode?: number | null;
  readonly signal?: string | null;
  readonly error: { readonly name: string; readonly value: string } | null;
  readonly outputs: readonly { readonly __typename: string; readonly seq: number }[];
}

const FIELDS = `id status stdout stderr resultText resultBase64 stateLost error { name value }
  outputs { __typename seq }`;

type Options = Readonly<Record<string, unknown>>;

/** @throws Error if the call itself fails; an error of the code is part of the result */
export async function execute(
  gateway: TestGateway,
  userUuid: string,
  code: string,
  options: Options = {},
): Promise<ExecutionResult> {
  return await run(gateway, 'execute', { userUuid, code, ...options });
}

export async function submit(
  gateway: TestGateway,
  userUuid: string,
  code: string,
  options: Options = {},
): Promise<ExecutionResult> {
  return await run(gateway, 'submit', { userUuid, code, ...options });
}

async function run(
  gateway: TestGateway,
  name: string,
  input: Options,
  fields = FIELDS,
): Promise<ExecutionResult> {
  const answer = await gateway.graphql<Record<string, ExecutionResult>>(
    `mutation Run($input: ExecuteInput!) { ${name}(input: $input) { ${fields} } }`,
    { input },
  );
  const result = answer.data?.[name];
  if (!result) throw new Error(`${name} failed: ${JSON.stringify(answer.errors)}`);
  return result;
}

/** Like {@link execute}, but for a command. The result also has the command's exit code or signal. */
export async function runCommand(
  gateway: TestGateway,
  userUuid: string,
  code: string,
  options: Options = {},
): Promise<ExecutionResult> {
  const input = { userUuid, code, language: 'BASH', ...options };
  return await run(gateway, 'execute', input, `${FIELDS} exitCode signal`);
}

interface Cell {
  readonly code: string;
  readonly timeoutMs?: number;
  readonly idempotencyKey?: string;
}

/** Resolves with the executions that were run. @throws Error if the call itself fails */
export async function executeBatch(
  gateway: TestGateway,
  userUuid: string,
  cells: readonly Cell[],
  options: Options = {},
): Promise<readonly ExecutionResult[]> {
  const { data, errors } = await gateway.graphql<{
    executeBatch: { readonly executions: readonly ExecutionResult[] };
  }>(
    `mutation Batch($input: ExecuteBatchInput!) { executeBatch(input: $input) { executions { ${FIELDS} } } }`,
    { input: { userUuid, cells, ...options } },
  );
  if (!data) throw new Error(`executeBatch failed: ${JSON.stringify(errors)}`);
  return data.executeBatch.executions;
}

export interface Output {
  readonly __typename: string;
  readonly seq: number;
  readonly text?: string;
  readonly execution?: { readonly status: string; readonly stateLost: boolean };
  /** When it arrived here, by `performance.now()`. */
  readonly receivedAt: number;
}

/**
 * Follows an execution to its end. If the connection breaks, resolves with the outputs so far, without a finish.
 * @param onOutput is called, and waited for, as each output arrives
 */
export async function follow(
  client: Client,
  executionId: string,
  after = 0,
  onOutput: (output: Output) => Promise<void> | void = () => undefined,
): Promise<Output[]> {
  const query = `subscription Follow($id: ID!, $after: Int!) { output(executionId: $id, after: $after) {
    __typename seq ... on StreamOutput { text } ... on ExecutionFinished { execution { status stateLost } } } }`;
  const outputs: Output[] = [];
  const events = client.iterate<{ output: Output }>({
    query,
    variables: { id: executionId, after },
  });
  try {
    for await (const { data, errors } of events) {
      if (errors) throw new Error(JSON.stringify(errors));
      if (!data) continue;
      const output = { ...data.output, receivedAt: performance.now() };
      outputs.push(output);
      await onOutput(output);
    }
  } catch (error: unknown) {
    if (!isBrokenConnection(error)) throw error;
  }
  return outputs;
}

/** If a connection ends, graphql-ws throws a close event. */
function isBrokenConnection(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && 'reason' in error;
}

export async function interrupt(gateway: TestGateway, id: string): Promise<string> {
  const answer = await gateway.graphql<{ interrupt: { status: string } }>(
    'mutation Stop($id: ID!) { interrupt(input: { executionId: $id }) { status } }',
    { id },
  );
  if (!answer.data) throw new Error(JSON.stringify(answer.errors));
  return answer.data.interrupt.status;
}

interface RestartedSession {
  readonly id: string;
  readonly kernelRestarts: number;
  readonly closedAt: string | null;
}

/** @param contextId null: the default context */
export async function restartKernel(
  gateway: TestGateway,
  userUuid: string,
  contextId: string | null = null,
): Promise<RestartedSession> {
  const [declared, given] = contextId === null ? ['', ''] : [', $id: ID', ', contextId: $id'];
  const answer = await gateway.graphql<{ restartKernel: RestartedSession }>(
    `mutation Fresh($user: String!${declared}) {
      restartKernel(input: { userUuid: $user${given} }) { id kernelRestarts closedAt } }`,
    { user: userUuid, ...(contextId !== null && { id: contextId }) },
  );
  if (!answer.data) throw new Error(JSON.stringify(answer.errors));
  return answer.data.restartKernel;
}

interface CreatedContext {
  readonly id: string;
  readonly name: string | null;
  readonly isDefault: boolean;
  readonly workingDirectory: string;
  readonly status: string;
  readonly kernelRestarts: number;
}

const CONTEXT_FIELDS = 'id name isDefault workingDirectory status kernelRestarts';

/** @param options `name`, `workingDirectory` */
export async function createContext(
  gateway: TestGateway,
  userUuid: string,
  options: Options = {},
): Promise<CreatedContext> {
  const answer = await gateway.graphql<{ createContext: CreatedContext }>(
    `mutation Create($input: CreateContextInput!) { createContext(input: $input) { ${CONTEXT_FIELDS} } }`,
    { input: { userUuid, ...options } },
  );
  if (!answer.data) throw new Error(JSON.stringify(answer.errors));
  return answer.data.createContext;
}

export async function deleteContext(
  gateway: TestGateway,
  userUuid: string,
  contextId: string,
): Promise<boolean> {
  const answer = await gateway.graphql<{ deleteContext: { deleted: boolean } }>(
    `mutation Delete($user: String!, $id: ID!) { deleteContext(input: { userUuid: $user, contextId: $id }) { deleted } }`,
    { user: userUuid, id: contextId },
  );
  if (!answer.data) throw new Error(JSON.stringify(answer.errors));
  return answer.data.deleteContext.deleted;
}

/** The open contexts of the user's session, the default one first. */
export async function contextsOf(
  gateway: TestGateway,
  userUuid: string,
): Promise<readonly CreatedContext[]> {
  const answer = await gateway.graphql<{ contexts: readonly CreatedContext[] }>(
    `query Contexts($user: String!) { contexts(userUuid: $user) { ${CONTEXT_FIELDS} } }`,
    { user: userUuid },
  );
  if (!answer.data) throw new Error(JSON.stringify(answer.errors));
  return answer.data.contexts;
}

export async function release(gateway: TestGateway, userUuid: string): Promise<boolean> {
  const answer = await gateway.graphql<{ release: { released: boolean } }>(
    'mutation Release($user: String!) { release(input: { userUuid: $user }) { released } }',
    { user: userUuid },
  );
  if (!answer.data) throw new Error(JSON.stringify(answer.errors));
  return answer.data.release.released;
}

/** Resolves when the execution has printed that many lines. */
export async function printed(client: Client, id: string, lines: number): Promise<void> {
  const query =
    'subscription Printed($id: ID!) { output(executionId: $id) { ... on StreamOutput { text } } }';
  let count = 0;
  const events = client.iterate<{ output: { text?: string } }>({ query, variables: { id } });
  for await (const { data } of events) {
    count += (data?.output.text ?? '').split('\n').length - 1;
    if (count >= lines) return;
  }
}

interface PoolStatus {
  readonly totalWorkers: number;
  readonly idleWorkers: number;
  readonly busyWorkers: number;
  readonly startingWorkers: number;
  readonly waitingRequests: number;
}

export async function poolStatus(gateway: TestGateway): Promise<PoolStatus> {
  const answer = await gateway.graphql<{ poolStatus: PoolStatus }>(
    '{ poolStatus { totalWorkers idleWorkers busyWorkers startingWorkers waitingRequests } }',
  );
  if (!answer.data) throw new Error(JSON.stringify(answer.errors));
  return answer.data.poolStatus;
}

export async function containerOf(gateway: TestGateway, userUuid: string): Promise<string> {
  const answer = await gateway.graphql<{ session: { worker: { containerId: string } } | null }>(
    'query Container($user: String!) { session(userUuid: $user) { worker { containerId } } }',
    { user: userUuid },
  );
  const id = answer.data?.session?.worker.containerId;
  if (!id) throw new Error(`${userUuid} has no container: ${JSON.stringify(answer)}`);
  return id;
}

// Environments of real gateways. Their builds need neither Debian packages nor an index.

const BUILD_TIMEOUT_MS = 120_000;

interface EnvironmentInput {
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
