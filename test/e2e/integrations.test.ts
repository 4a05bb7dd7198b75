/**
 * Runs the programs of docs/use/integrations.md, unmodified, with their frameworks. Only the model is a stand-in. It
 * sends code that fails, and then code that needs a variable of the failed code.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { type ExampleEnd, runExample } from '../support/runExample.ts';
import { type ScriptedModel, startScriptedModel } from '../support/scriptedModel.ts';

const CODES = ['numbers = range(100)\nsum(number)', 'sum(numbers)'];

let gateway: TestGateway;
let model: ScriptedModel;
beforeAll(async () => {
  gateway = await startTestGateway({ DOORS: 'mcp', MIN_IDLE_WORKERS: '1' });
});
afterAll(async () => {
  await gateway.destroy();
});

beforeEach(async () => {
  model = await startScriptedModel(CODES);
  return async () => await model.close();
});

async function run(name: string, token: string): Promise<ExampleEnd> {
  const env = {
    CELLHOUSE_TOKEN: token,
    OPENAI_BASE_URL: model.url,
    OPENAI_API_KEY: 'none',
    // Otherwise, OpenAI's SDK would send traces to OpenAI.
    OPENAI_AGENTS_DISABLE_TRACING: '1',
  };
  return await runExample(gateway, `integrations/${name}`, { env });
}

/** A tenant of its own, so that the program's executions are the only ones that its token shows. */
async function tokenOf(tenant: string): Promise<string> {
  const { data } = await gateway.graphql<{ createToken: { secret: string } }>(
    `mutation { createToken(input: { name: "${tenant}", role: TENANT, tenant: "${tenant}", door: MCP }) { secret } }`,
  );
  return data?.createToken.secret ?? '';
}

interface Recorded {
  readonly code: string;
  readonly status: string;
  readonly via: string;
  readonly resultText: string | null;
  readonly session: { readonly id: string };
}

/** The executions of a tenant, oldest first. */
async function recorded(tenant: string): Promise<readonly Recorded[]> {
  const { data } = await gateway.graphql<{ executions: { edges: { node: Recorded }[] } }>(
    `{ executions(tenant: "${tenant}") {
      edges { node { code status via resultText session { id } } }
    } }`,
  );
  return (data?.executions.edges ?? []).map(({ node }) => node).reverse();
}

describe.each(['openai-agents.mjs', 'langchain.mjs', 'vercel-ai-sdk.mjs'])('%s', (name) => {
  it('gives the model the tools, its errors and its results, in one session', async () => {
    const tenant = name.replace('.mjs', '');
    const end = await run(name, await tokenOf(tenant));
    expect(end).toEqual({ exitCode: 0, stdout: 'Python says 4950.\n', stderr: '' });

    const [first, second, third] = model.requests;
    expect(model.requests).toHaveLength(CODES.length + 1);
    expect(first?.results).toEqual([]);
    expect(first?.tools).toHaveLength(9);
    expect(first?.tools).toContain('execute_code');
    expect(second?.results).toEqual([expect.stringContaining("name 'number' is not defined")]);
    expect(third?.results.at(-1)).toContain('4950');
    const executions = await recorded(tenant);
    expect(executions).toMatchObject([
      { code: CODES[0], status: 'ERROR', via: 'MCP' },
      { code: CODES[1], status: 'OK', via: 'MCP', resultText: '4950' },
    ]);
    expect(executions[1]?.session).toEqual(executions[0]?.session);
  });

  it('ends with an error if the token is wrong', async () => {
    const end = await run(name, 'wrong');
    expect(end).toMatchObject({ exitCode: 1, stdout: '' });
    expect(end.stderr).toMatch(/\b401\b|token is wrong/i);
    expect(model.requests).toEqual([]);
  });
});
