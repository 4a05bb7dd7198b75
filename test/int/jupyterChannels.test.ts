/** Unusual clients of the Jupyter door: what they send and ask, and what they get. */
import { describe, expect, it } from 'vitest';
import { until } from '../../testkit/until.ts';
import {
  executionOf,
  type Got,
  type RawClient,
  startChannels,
} from '../support/jupyterChannels.ts';
import { secretOf } from '../support/testDoor.ts';

const NEW = { offset: { position: 1, seq: 0 }, isDelivered: false };

describe('a request', () => {
  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', 'no_request'])(
    'of the unknown type %s is answered with the two status messages only',
    async (msg_type) => {
      const { connect, log } = await startChannels();
      const client = await connect();
      client.send({ msg_id: 'm', msg_type });
      const told = await client.untilIdle('m');
      expect(told.map((each) => each.msg_type)).toEqual(['status', 'status']);
      expect(log).toEqual([]);
    },
  );

  it.each([{ toString: 1 }, [['a']], 7, true])(
    'for code that is not text, but %j, is refused with a message',
    async (code) => {
      const { connect, submitted, log } = await startChannels();
      const client = await connect();
      client.send({ msg_id: 'm', msg_type: 'execute_request' }, { code });
      const told = await client.untilIdle('m');
      const reply = told.find(({ msg_type }) => msg_type === 'execute_reply');
      expect(reply?.content).toMatchObject({ status: 'error', evalue: 'code must be a string.' });
      expect(submitted).toEqual([]);
      expect(log).toEqual([]);
    },
  );
});

it('Two clients of a kernel that choose the same message id each get their own reply', async () => {
  const { connect, submitted, tell } = await startChannels();
  const [ann, bob] = [await connect(), await connect()];
  const header = { msg_id: 'same', msg_type: 'execute_request' };
  ann.send({ ...header, session: 'ann' }, { code: '1' });
  bob.send({ ...header, session: 'bob' }, { code: '2' });
  await until('both are accepted', async () => submitted.length === 2);
  for (const request of submitted) {
    const execution = executionOf(request);
    tell({ type: 'begun', execution, code: request.code, ...NEW });
    tell({ type: 'ended', execution, ...NEW });
  }
  const replies = async (client: RawClient) => {
    await until('all has ended', async () => client.got.filter(isIdle).length === 2);
    return client.got
      .filter(({ msg_type }) => msg_type === 'execute_reply')
      .map(({ parent_header }) => parent_header.session);
  };
  expect(await replies(ann)).toEqual(['ann']);
  expect(await replies(bob)).toEqual(['bob']);
});

it('A token sees the number of WebSockets to its own kernels only', async () => {
  const { connect, origin } = await startChannels();
  await connect();
  const connections = async (token: string) => {
    const answer = await fetch(`${origin}/t/${secretOf(token)}/api/status`);
    return (await answer.json()) as Record<string, unknown>;
  };
  expect(await connections('mine')).toMatchObject({ kernels: 1, connections: 1 });
  expect(await connections('other')).toMatchObject({ kernels: 0, connections: 0 });
});

it.each(['/jupyter', '/jupyter/', '/jupyter/lab', '/jupyter/tree', '/tree', '/tree?redirects'])(
  'At %s, where a Jupyter server has a page, there is text for everybody, without a login',
  async (path) => {
    const { origin } = await startChannels();
    for (const [method, text] of [
      ['GET', /^Cellhouse answers Jupyter clients here/],
      ['HEAD', /^$/],
    ] as const) {
      const answer = await fetch(origin + path, { method, redirect: 'manual' });
      expect([answer.status, answer.headers.get('content-type')]).toEqual([
        200,
        'text/plain; charset=UTF-8',
      ]);
      expect(await answer.text()).toMatch(text);
    }
    expect((await fetch(origin + path, { method: 'POST' })).status).toBe(403);
    expect((await fetch(`${origin}/jupyter/trees`)).status).toBe(403);
  },
);

function isIdle({ content }: Got): boolean {
  return content.execution_state === 'idle';
}
