/**
 * An answer over GraphQL reads and carries at most MAX_RESPONSE_BYTES. A larger answer is refused or comes in pages,
 * and is never cut silently. The database is real.
 */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { Database } from '../../src/events/database.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { databaseService } from '../support/serviceGateways.ts';
import { startTransport } from '../support/transportServer.ts';

const MAX_RESPONSE_BYTES = 10_000;
/** Two such texts fit into an answer, three do not. */
const LARGE = 'x'.repeat(4_000);
const TOO_MANY = { code: 'BAD_USER_INPUT', limit: MAX_RESPONSE_BYTES };

let gateway: Database;
beforeEach(async () => {
  gateway = await (await useDatabase(onTestFinished)).open();
});

/** Stores an execution that put out `text`. */
async function execution(code: string, text: string, isOver = true): Promise<ExecutionId> {
  const requested = await commitOne<'execution'>(gateway.store, executionRequested({ code }));
  const at = new Date();
  const item = (seq: number) => ({ executionId: requested.id, seq, at });
  await gateway.store.commit({
    streams: isOver ? [onExecution(requested, executionFinished())] : [],
    outputs: [
      { ...item(1), output: { kind: 'stream', name: 'stdout', text } },
      ...(isOver ? [{ ...item(2), output: { kind: 'finish' } as const }] : []),
    ],
  });
  return requested.id;
}

async function ask(query: string) {
  const service = databaseService(gateway, MAX_RESPONSE_BYTES);
  return await (await startTransport(service)).query(query);
}

describe('a list of executions', () => {
  it.each([
    ['over', true],
    ['running', false],
  ])('is refused when the executions are %s and have too much output', async (_what, isOver) => {
    const oldest = await execution('1', 'first', isOver);
    for (const code of ['2', '3', '4']) await execution(code, LARGE, isOver);
    for (const field of ['stdout', 'outputs { seq }', 'outputs(first: 9) { seq }']) {
      const { data, errors } = await ask(`{ executions { edges { node { ${field} } } } }`);
      expect(data ?? null).toBeNull();
      expect(errors).toMatchObject([
        {
          message: expect.stringMatching(
            /MAX_RESPONSE_BYTES.*fewer executions at once \(`first`\)/,
          ),
          extensions: { ...TOO_MANY, field: 'outputs' },
        },
      ]);
    }
    const { data } = await ask(`{ execution(id: "${oldest}") { stdout } }`);
    expect(data).toEqual({ execution: { stdout: 'first' } });
    expect((await ask('{ executions(first: 2) { edges { node { stdout } } } }')).data).toEqual({
      executions: { edges: [{ node: { stdout: LARGE } }, { node: { stdout: LARGE } }] },
    });
  });

  it('is refused when the code of its executions is too long', async () => {
    for (let n = 0; n < 3; n += 1) await execution(LARGE, '');
    const codes = (first: number) =>
      ask(`{ executions(first: ${first}) { edges { node { code } } } }`);
    expect((await codes(2)).data).toEqual({
      executions: { edges: [{ node: { code: LARGE } }, { node: { code: LARGE } }] },
    });
    expect((await codes(3)).errors).toMatchObject([
      {
        message: expect.stringMatching(/`code`.*fewer executions at once/),
        extensions: { ...TOO_MANY, field: 'code' },
      },
    ]);
  });
});

describe('events', () => {
  interface Events {
    readonly edges: readonly { readonly node: { readonly data: { readonly code: string } } }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
  }

  async function page(args: string): Promise<Events> {
    const { data, errors } = await ask(
      `{ events(types: [ExecutionRequested] ${args}) { edges { node { data } } pageInfo { hasNextPage endCursor } } }`,
    );
    expect(errors).toBeUndefined();
    return data?.events as Events;
  }

  it('come in pages of bounded size, and none is missed or repeated', async () => {
    const codes = ['a', 'b', 'c', 'd', 'e'].map((letter) => letter.repeat(4_000));
    for (const code of codes) await execution(code, '');
    const lengths: number[] = [];
    const given: string[] = [];
    for (let after = ''; ; ) {
      const { edges, pageInfo } = await page(after);
      lengths.push(edges.length);
      given.push(...edges.map(({ node }) => node.data.code));
      if (!pageInfo.hasNextPage) break;
      after = `after: "${pageInfo.endCursor}"`;
    }
    expect(lengths).toEqual([2, 2, 1]);
    expect(given).toEqual(codes);
  });

  it('are listed even if one is larger than an answer; only its data is refused', async () => {
    await execution('x'.repeat(MAX_RESPONSE_BYTES), '');
    await execution('small', '');
    const types = 'types: [ExecutionRequested]';
    const { data } = await ask(
      `{ events(${types}) { edges { cursor } pageInfo { hasNextPage endCursor } } }`,
    );
    const { edges, pageInfo } = (data as { events: Events }).events;
    expect(edges).toHaveLength(1);
    expect(pageInfo.hasNextPage).toBe(true);
    const { errors } = await ask(`{ events(${types} first: 1) { edges { node { data } } } }`);
    expect(errors).toMatchObject([{ extensions: { ...TOO_MANY, field: 'data' } }]);
    const next = await page(`after: "${pageInfo.endCursor}"`);
    expect(next.edges).toMatchObject([{ node: { data: { code: 'small' } } }]);
  });

  it('count each time that one answer contains them', async () => {
    for (let n = 0; n < 2; n += 1) await execution(LARGE, '');
    const one = 'events(types: [ExecutionRequested]) { edges { node { data } } }';
    const { errors } = await ask(`{ a: ${one} b: ${one} }`);
    expect(errors).toMatchObject([
      { message: expect.stringMatching(/fewer events at once/), extensions: TOO_MANY },
    ]);
  });
});
