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
});
