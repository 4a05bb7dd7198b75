/** What clients that are no Jupyter clients send to the Jupyter door's WebSockets, and what they are told. */
import { describe, expect, it } from 'vitest';
import { startChannels } from '../support/jupyterChannels.ts';

describe('a request', () => {
  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', 'no_request'])(
    'of the type %s, which is none, is answered by the two states alone',
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
    'for code that is no text, but %j, is refused in words',
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
