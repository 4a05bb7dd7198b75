/** Reads an execution's complete output in each of the possible ways. */
import type { TestGateway } from '../../testkit/gateway.ts';

export interface ReadOutput {
  readonly __typename: string;
  readonly seq: number;
  readonly name?: string;
  readonly text?: string;
  readonly kind?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

const FIELDS = `__typename seq ... on StreamOutput { name text } ... on RichOutput { kind data metadata }
  ... on ErrorOutput { error { name value traceback } }`;
const PAGE = 200;

/** The output from the subscription, without the finish. @throws Error unless the finish comes last */
export async function subscribedOutput(gateway: TestGateway, id: string): Promise<ReadOutput[]> {
  const query = `subscription ($id: ID!) { output(executionId: $id) { ${FIELDS} } }`;
  const client = gateway.socket();
  const all: ReadOutput[] = [];
  const events = client.iterate<{ output: ReadOutput }>({ query, variables: { id } });
  for await (const { data, errors } of events) {
    if (!data) throw new Error(JSON.stringify(errors));
    all.push(data.output);
  }
  if (all.pop()?.__typename !== 'ExecutionFinished') throw new Error('The finish is not the last.');
  return all;
}

/** The output from `outputs`, page by page. */
export async function pagedOutput(gateway: TestGateway, id: string): Promise<ReadOutput[]> {
  const query = `query ($id: ID!, $after: Int!) {
    execution(id: $id) { outputs(after: $after, first: ${PAGE}) { ${FIELDS} } } }`;
  const all: ReadOutput[] = [];
  for (;;) {
    const { data, errors } = await gateway.graphql<{
      execution: { outputs: ReadOutput[] };
    }>(query, { id, after: all.at(-1)?.seq ?? 0 });
    if (!data) throw new Error(JSON.stringify(errors));
    if (data.execution.outputs.length === 0) return all;
    all.push(...data.execution.outputs);
  }
}

export interface Assembled {
  readonly status: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutRendered: string;
  readonly resultBase64: string | null;
  readonly truncated: boolean;
}

/** The output from the fields of the execution. */
export async function assembledOutput(gateway: TestGateway, id: string): Promise<Assembled> {
  const { data, errors } = await gateway.graphql<{ execution: Assembled }>(
    'query ($id: ID!) { execution(id: $id) { status stdout stderr stdoutRendered resultBase64 truncated } }',
    { id },
  );
  if (!data) throw new Error(JSON.stringify(errors));
  return data.execution;
}
