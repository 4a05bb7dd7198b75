/** Input is recorded on any gateway, and delivered once by the one that holds the worker. The agent is scripted. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { ExecutionId } from '../../src/domain/ids.ts';
import { MAX_INPUT_CALLS } from '../../src/service/execute/sendInput.ts';
import { stream } from '../support/frames.ts';
import { type InputAgent, takeInput } from '../support/scriptedAgent.ts';
import { MAX_INPUT_BYTES, type TwoGateways, useTwoGateways } from '../support/scriptedWorker.ts';

let holder: TwoGateways['holder'];
let other: TwoGateways['other'];
let scripted: TwoGateways['scripted'];
const { db, observer } = await useTwoGateways((fresh) => {
  ({ holder, other, scripted } = fresh);
});

let agent: InputAgent;
beforeEach(async () => {
  agent = takeInput(scripted.agent);
});

const inputs = async ({ id }: Execution) =>
  (await db.readStream('execution', id)).flatMap(({ event }) =>
    event.type === 'InputSent' ? [event.data] : [],
  );
const untilTaken = (of: Execution, text: string) =>
  expect.poll(() => agent.taken(of.id), { interval: 5 }).toBe(text);
const untilEnded = (of: Execution) =>
  expect.poll(async () => (await observer.queries.execution(of.id))?.finishedAt).not.toBeNull();
const secrets = () => db.sql`SELECT execution_id FROM execution_inputs`;

/** A command that the agent has begun. */
async function running(): Promise<Execution> {
  const command = await scripted.requestWaiting(observer, 'BASH');
  await scripted.untilSent(command.id);
  scripted.begin(command.id);
  return command;
}

describe('input', () => {
  it('reaches the agent in order, from any gateway, even if it was sent before the execution ran', async () => {
    await holder.adopt(scripted.worker);
    const command = await scripted.requestWaiting(observer, 'BASH');
    const first = await other.sendInput(command, { text: 'naïve ' });
    expect(first).toMatchObject({ offset: 0, nextOffset: 7, execution: { inputBytes: 7 } });
    await scripted.untilSent(command.id);
    expect(agent.calls).toEqual([]);
    scripted.begin(command.id);
    await untilTaken(command, 'naïve ');
    await holder.sendInput(command, { base64: Buffer.from([0xff, 0]).toString('base64') });
    await other.sendInput(command, { offset: 9, text: 'end\0', close: true });
    await expect.poll(() => agent.isClosed(command.id)).toBe(true);
    expect(agent.taken(command.id)).toBe('naïve \ufffd\0end\0');
    expect(await inputs(command)).toMatchObject([
      { offset: 0, bytes: 7, close: false, text: 'naïve ' },
      { offset: 7, bytes: 2, close: false, base64: '/wA=' },
      { offset: 9, bytes: 4, close: true, text: 'end\0' },
    ]);
  });

  it('is enabled only for executions whose request allows it', async () => {
    await holder.adopt(scripted.worker);
    const cell = await scripted.requestWaiting(observer);
    const command = await scripted.requestWaiting(observer, 'BASH');
    const plain = await scripted.requestCommand(observer);
    await scripted.untilSent(command.id);
    const frameOf = ({ id }: Execution) =>
      scripted.agent.received.find(({ header }) => (header as { msg_id?: string })?.msg_id === id);
    expect(frameOf(cell)).toHaveProperty('content.allow_stdin', true);
    expect(frameOf(cell)).not.toHaveProperty('metadata.cellhouse.stdin');
    expect(frameOf(command)).toHaveProperty('content.allow_stdin', false);
    expect(frameOf(command)).toHaveProperty('metadata.cellhouse.stdin', true);
    await expect(other.sendInput(plain, { text: 'a' })).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      details: { field: 'executionId' },
    });
    const stranger = { ...cell, tenant: 'another' };
    await expect(other.sendInput(stranger, { text: 'a' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('raises the version of its execution only', async () => {
    const command = await scripted.requestWaiting(observer, 'BASH');
    await other.sendInput(command, { text: 'a' });
    const [session] = await db.sql`SELECT version FROM sessions WHERE id = ${command.sessionId}`;
    expect(session).toEqual({ version: scripted.session.version });
    expect(await observer.queries.execution(command.id)).toMatchObject({ version: 2 });
  });

  it('without an offset is appended each time, and nothing is lost if two gateways send at once', async () => {
    await holder.adopt(scripted.worker);
    const command = await running();
    const sent = Array.from({ length: 20 }, (_, n) => String.fromCharCode(97 + n));
    await Promise.all(
      sent.map((text, n) => (n % 2 === 0 ? holder : other).sendInput(command, { text })),
    );
    await expect.poll(() => agent.taken(command.id).length).toBe(sent.length);
    const taken = [...agent.taken(command.id)];
    expect([...taken].sort()).toEqual(sent);
    // Each gateway keeps the order of its own calls.
    for (const ofGateway of [0, 1])
      expect(taken.filter((text) => sent.indexOf(text) % 2 === ofGateway)).toEqual(
        sent.filter((_, n) => n % 2 === ofGateway),
      );
    scripted.finish(command.id, 'finished', { exit_code: 0, signal: null });
    await untilEnded(command);
  });
});

describe('the calls that wait for an execution', () => {
  it('belong to the tenant of the execution: calls of other tenants take no place', async () => {
    const command = await scripted.requestWaiting(observer, 'BASH');
    const stranger = { ...command, tenant: 'another' };
    const strange = Array.from({ length: MAX_INPUT_CALLS }, () =>
      other.sendInput(stranger, { text: 'x' }),
    );
    const own = other.sendInput(command, { text: 'a' });
    const refused = await Promise.allSettled(strange);
    expect(new Set(refused.map((each) => each.status === 'rejected' && each.reason.code))).toEqual(
      new Set(['NOT_FOUND']),
    );
    expect(await own).toMatchObject({ nextOffset: 1 });
  });

  it('form one queue, whatever the case of the id', async () => {
    const command = await scripted.requestWaiting(observer, 'BASH');
    const letters = [...'abcdefghijklmnopqrst'];
    const upper = { ...command, id: command.id.toUpperCase() as ExecutionId };
    await Promise.all(
      letters.map((text, n) => other.sendInput(n < 10 ? command : upper, { text })),
    );
    expect((await inputs(command)).map((piece) => ('text' in piece ? piece.text : null))).toEqual(
      letters,
    );
  });
});

describe('input with an offset', () => {
  it('is applied once, however often and in whatever pieces it is sent, and gets the same answer', async () => {
    await holder.adopt(scripted.worker);
    const command = await running();
    for (const gateway of [holder, other, other])
      expect(await gateway.sendInput(command, { offset: 0, text: 'abc' })).toMatchObject({
        offset: 0,
        nextOffset: 3,
      });
    expect(await other.sendInput(command, { offset: 1, text: 'bcde' })).toMatchObject({
      offset: 1,
      nextOffset: 5,
    });
    expect(await other.sendInput(command, { offset: 1, text: 'b' })).toMatchObject({
      nextOffset: 2,
    });
    const end = { offset: 5, text: 'f', close: true };
    for (const gateway of [other, holder]) await gateway.sendInput(command, end);
    await expect.poll(() => agent.isClosed(command.id)).toBe(true);
    expect(agent.taken(command.id)).toBe('abcdef');
    expect(await inputs(command)).toMatchObject([{ text: 'abc' }, { text: 'de' }, { text: 'f' }]);
  });

  it('is refused if input before it is missing, or if it differs from recorded input', async () => {
    const command = await scripted.requestWaiting(observer, 'BASH');
    await other.sendInput(command, { text: 'abc' });
    const wrong = [
      { offset: 4, text: 'e' },
      { offset: 1, text: 'x' },
      { offset: 2, text: 'xd' },
      { offset: 1, text: 'b', close: true },
    ];
    for (const input of wrong)
      await expect(other.sendInput(command, input)).rejects.toMatchObject({
        code: 'INPUT_OUT_OF_ORDER',
        details: { expectedOffset: 3 },
        message: expect.stringContaining('3'),
      });
    expect(await inputs(command)).toHaveLength(1);
  });

  it('is answered as before when the execution has ended, but new input is refused', async () => {
    await holder.adopt(scripted.worker);
    const command = await running();
    await other.sendInput(command, { text: 'abc' });
    await untilTaken(command, 'abc');
    scripted.finish(command.id, 'finished', { exit_code: 0, signal: null });
    await untilEnded(command);
    expect(await other.sendInput(command, { offset: 0, text: 'abc' })).toMatchObject({
      nextOffset: 3,
    });
    await expect(other.sendInput(command, { offset: 3, text: 'd' })).rejects.toMatchObject({
      code: 'INPUT_CLOSED',
      message: expect.stringContaining('ended'),
    });
  });
});

it('input beyond MAX_INPUT_BYTES is refused, and after the end of the input nothing follows', async () => {
  const command = await scripted.requestWaiting(observer, 'BASH');
  const most = Math.floor(MAX_INPUT_BYTES / 4);
  for (let n = 0; n < 3; n += 1) await other.sendInput(command, { text: 'x'.repeat(most) });
  // The bytes that are announced to follow must fit, too.
  const tooLong = { text: 'x'.repeat(most), followingBytes: 1 };
  await expect(other.sendInput(command, tooLong)).rejects.toMatchObject({ code: 'INPUT_LIMIT' });
  await other.sendInput(command, { text: 'x'.repeat(most) });
  await expect(other.sendInput(command, { text: 'y' })).rejects.toMatchObject({
    code: 'INPUT_LIMIT',
    details: { limit: MAX_INPUT_BYTES },
  });
  await other.sendInput(command, { close: true });
  await expect(other.sendInput(command, { text: 'y' })).rejects.toMatchObject({
    code: 'INPUT_CLOSED',
    message: expect.stringContaining('closed'),
  });
  expect(await other.sendInput(command, { close: true })).toMatchObject({ offset: most * 4 });
});

describe('a successor goes on', () => {
  it('where the agent has taken only a part', async () => {
    await holder.adopt(scripted.worker);
    const command = await running();
    agent.room = 40_000;
    const text = Array.from({ length: 60_000 }, (_, n) => String(n % 10)).join('');
    await other.sendInput(command, { text, close: true });
    await expect.poll(() => agent.taken(command.id).length).toBe(40_000);
    await holder.die();
    agent.room = Number.POSITIVE_INFINITY;
    await other.adopt(scripted.worker);
    await untilTaken(command, text);
    await expect.poll(() => agent.isClosed(command.id)).toBe(true);
  });

  it('where the agent has taken it, and the answer was lost', async () => {
    await holder.adopt(scripted.worker);
    const command = await running();
    await other.sendInput(command, { text: 'a' });
    await untilTaken(command, 'a');
    agent.isDumb = true;
    await other.sendInput(command, { text: 'b', close: true });
    await untilTaken(command, 'ab');
    await holder.die();
    agent.isDumb = false;
    await other.adopt(scripted.worker);
    await other.sendInput(command, { offset: 1, text: 'b', close: true });
    scripted.finish(command.id, 'finished', { exit_code: 0, signal: null });
    await untilEnded(command);
    expect(agent.taken(command.id)).toBe('ab');
  });

  it('where nobody held the worker when the input was recorded', async () => {
    await holder.adopt(scripted.worker);
    const command = await running();
    await expect
      .poll(async () => (await observer.queries.execution(command.id))?.status)
      .toBe('RUNNING');
    await holder.die();
    await other.sendInput(command, { text: 'a' });
    await other.sendInput(command, { text: 'b', close: true });
    await other.adopt(scripted.worker);
    await untilTaken(command, 'ab');
  });

  it('with an execution that the former holder had only sent', async () => {
    await holder.adopt(scripted.worker);
    const command = await scripted.requestWaiting(observer, 'BASH');
    await scripted.untilSent(command.id);
    await other.sendInput(command, { text: 'a' });
    await holder.die();
    scripted.begin(command.id);
    await other.adopt(scripted.worker);
    await untilTaken(command, 'a');
  });
});

describe('the answer to getpass', () => {
  const SECRET = 'hunter-two';

  it('is delivered, even by a successor, and is in no table when the execution has ended', async () => {
    await holder.adopt(scripted.worker);
    const cell = await scripted.requestWaiting(observer);
    await scripted.untilSent(cell.id);
    scripted.begin(cell.id);
    await other.sendInput(cell, { text: 'Ann\n' });
    scripted.askInput(cell.id, 'Password: ', true);
    await expect
      .poll(() => observer.queries.newestInputRequest(cell.id))
      .toEqual({ kind: 'input', prompt: 'Password: ', password: true });
    await untilTaken(cell, 'Ann\n');
    agent.room = 3;
    await other.sendInput(cell, { offset: 4, text: `${SECRET}\n` });
    await untilTaken(cell, 'Ann\nhun');
    expect(await secrets()).toEqual([{ executionId: cell.id }]);
    await holder.die();
    agent.room = Number.POSITIVE_INFINITY;
    await other.adopt(scripted.worker);
    await untilTaken(cell, `Ann\n${SECRET}\n`);
    // A repeated answer is compared with the stored one, and is not recorded again.
    await other.sendInput(cell, { offset: 4, text: `${SECRET}\n` });
    await expect(other.sendInput(cell, { offset: 4, text: 'hunter-3' })).rejects.toMatchObject({
      code: 'INPUT_OUT_OF_ORDER',
    });
    scripted.askInput(cell.id, 'Name: ');
    await expect
      .poll(async () => (await observer.queries.newestInputRequest(cell.id))?.password)
      .toBe(false);
    await other.sendInput(cell, { text: 'Bob\n' });
    scripted.finish(cell.id, 'finished');
    await untilEnded(cell);
    expect(await secrets()).toEqual([]);
    const bytes = Buffer.byteLength(SECRET) + 1;
    expect(
      await db.sql`
      SELECT input_offset::int, bytes::int, text, is_secret, is_end FROM audit.inputs
      WHERE execution_id = ${cell.id} ORDER BY input_offset`,
    ).toEqual([
      { inputOffset: 0, bytes: 4, text: 'Ann\n', isSecret: false, isEnd: false },
      { inputOffset: 4, bytes, text: null, isSecret: true, isEnd: false },
      { inputOffset: 4 + bytes, bytes: 4, text: 'Bob\n', isSecret: false, isEnd: false },
    ]);
    expect(JSON.stringify(await db.readStream('execution', cell.id))).not.toContain('hunter');
    // The stored answer is deleted, so a repeated answer is accepted if its offset and length fit.
    await other.sendInput(cell, { offset: 4, text: `${SECRET}\n` });
  });

  it('is secret even if the output limit was reached before its question', async () => {
    await holder.adopt(scripted.worker);
    const cell = await scripted.requestWaiting(observer);
    await scripted.untilSent(cell.id);
    scripted.begin(cell.id);
    scripted.askInput(cell.id, 'Name: ');
    const tooMuch = 'x'.repeat(cell.maxOutputBytes + 1);
    scripted.agent.append((seq) => stream(tooMuch, { parent: cell.id, seq, at: Date.now() }));
    scripted.askInput(cell.id, 'Password: ', true);
    await expect
      .poll(async () => (await observer.queries.newestInputRequest(cell.id))?.password)
      .toBe(true);
    await other.sendInput(cell, { text: `${SECRET}\n` });
    await untilTaken(cell, `${SECRET}\n`);
    expect(JSON.stringify(await db.readStream('execution', cell.id))).not.toContain('hunter');
    scripted.finish(cell.id, 'finished');
    await untilEnded(cell);
    expect(await secrets()).toEqual([]);
  });

  it('is deleted by the upkeep if its execution is no longer in the table', async () => {
    await holder.adopt(scripted.worker);
    const cell = await scripted.requestWaiting(observer);
    await scripted.untilSent(cell.id);
    scripted.askInput(cell.id, '', true);
    await expect.poll(() => observer.queries.newestInputRequest(cell.id)).not.toBeNull();
    await other.sendInput(cell, { text: `${SECRET}\n` });
    expect(await secrets()).toHaveLength(1);
    await holder.die();
    await db.sql`DELETE FROM executions WHERE id = ${cell.id}`;
    await observer.queries.deleteLeftOfExecutions();
    expect(await secrets()).toEqual([]);
  });
});
