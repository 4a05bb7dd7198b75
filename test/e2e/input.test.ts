/** Input and terminals with real workers. Code reads its input even if gateways die, and no password is stored. */
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import { execute, runCommand, submit } from '../../testkit/interpreter.ts';
import {
  gateway,
  gateways,
  installation,
  other,
  user,
  useTwoRealGateways,
} from '../support/installation.ts';

useTwoRealGateways();

const SECRET = 'hunter-two-and-a-half';
const BASH = { language: 'BASH' };
const INPUT = { allowInput: true, timeoutMs: 120_000 };
const PTY = { ...BASH, timeoutMs: 120_000, pty: { columns: 80, rows: 24 } };
/** The most bytes that one call may send. */
const PIECE = 65_536;
const LARGE_BYTES = 10 * 1024 * 1024;
const LINES = 120;
/** The gateway that holds the worker is killed once in so many lines, until two gateways are left. */
const DEATH_EVERY = 40;

interface Sent {
  readonly offset?: number;
  readonly text?: string;
  readonly base64?: string;
  readonly close?: boolean;
}

interface Item {
  readonly seq: number;
  readonly prompt?: string;
  readonly password?: boolean;
  readonly text?: string;
  readonly error?: { readonly name: string };
  readonly execution?: { readonly status: string; readonly exitCode: number | null };
}

/** @throws Error if the call is refused, or the gateway is dead */
async function send(
  at: TestGateway | undefined,
  id: string,
  { text, base64, ...rest }: Sent,
): Promise<number> {
  if (!at) throw new Error('There is no gateway.');
  const { data, errors } = await at.graphql<{ sendInput: { nextOffset: number } }>(
    'mutation ($input: SendInputInput!) { sendInput(input: $input) { nextOffset } }',
    {
      input: {
        executionId: id,
        ...rest,
        ...(text != null && { data: { text } }),
        ...(base64 != null && { data: { base64 } }),
      },
    },
  );
  if (!data?.sendInput) throw new Error(JSON.stringify(errors));
  return data.sendInput.nextOffset;
}

/** Follows the output at one gateway. */
function followed(at: TestGateway | undefined, id: string) {
  if (!at) throw new Error('There is no gateway.');
  const query = `subscription ($id: ID!) { output(executionId: $id) { seq
    ... on InputRequested { prompt password } ... on StreamOutput { text } ... on ErrorOutput { error { name } }
    ... on ExecutionFinished { execution { status exitCode } } } }`;
  const events = at.socket().iterate<{ output: Item }>({ query, variables: { id } });
  const items: Item[] = [];
  return {
    text: () => items.map(({ text = '' }) => text).join(''),
    /** Resolves when an item is as wanted. @throws Error if the output ends before that */
    until: async (isWanted: (item: Item) => boolean): Promise<Item> => {
      for (;;) {
        const { value, done } = await events.next();
        if (done || !value.data) throw new Error(`The output ended: ${JSON.stringify(items)}`);
        items.push(value.data.output);
        if (isWanted(value.data.output)) return value.data.output;
      }
    },
  };
}

const isAsking = ({ prompt }: Item) => prompt !== undefined;
const isEnd = ({ execution }: Item) => execution !== undefined;

/** The tables and views in which some row contains the text. */
async function tablesWith(text: string): Promise<string[]> {
  const { sql } = installation;
  const tables = await sql<{ schema: string; name: string }[]>`
    SELECT table_schema AS schema, table_name AS name FROM information_schema.tables
    WHERE table_schema IN ('public', 'audit')`;
  const found: string[] = [];
  for (const { schema, name } of tables) {
    const table = sql`${sql(schema)}.${sql(name)}`;
    const [row] = await sql`SELECT 1 FROM ${table} AS t WHERE t::text LIKE ${`%${text}%`} LIMIT 1`;
    if (row) found.push(name);
  }
  return found;
}

describe('a cell', () => {
  it('gets the lines that it asks for, and a password is stored nowhere', async () => {
    const code = `from getpass import getpass\nname = input('Name: ')\nword = getpass('Word: ')\nprint(name, len(word))\nagain = input('Again: ')\nprint(again)`;
    const { id } = await submit(gateway, user, code, INPUT);
    const output = followed(other, id);
    expect(await output.until(isAsking)).toMatchObject({ prompt: 'Name: ', password: false });
    await send(other, id, { text: 'Änne\n' });
    expect(await output.until(isAsking)).toMatchObject({ prompt: 'Word: ', password: true });
    const word = { offset: 6, text: `${SECRET}\n` };
    for (const each of gateways) expect(await send(each, id, word)).toBe(7 + SECRET.length);
    expect(await output.until(isAsking)).toMatchObject({ prompt: 'Again: ', password: false });
    await send(gateway, id, { text: 'again\n' });
    expect(await output.until(isEnd)).toMatchObject({ execution: { status: 'OK' } });
    expect(output.text()).toBe(`Änne ${SECRET.length}\nagain\n`);
    expect(await tablesWith('Änne')).toEqual(expect.arrayContaining(['events', 'inputs']));
    expect(await tablesWith(SECRET)).toEqual([]);
    expect(await tablesWith(Buffer.from(SECRET).toString('base64').slice(0, 24))).toEqual([]);
    for (const each of gateways) expect(each.log()).not.toContain(SECRET);
  });

  it('fails at the end of its input, can be interrupted while it waits, and cannot ask without allowInput', async () => {
    const { id } = await submit(gateway, user, 'input()\ninput()', INPUT);
    const output = followed(gateway, id);
    await send(other, id, { text: 'one\n', close: true });
    expect(await output.until(isEnd)).toMatchObject({ execution: { status: 'ERROR' } });
    const asks = await submit(gateway, user, 'input()', INPUT);
    await followed(gateway, asks.id).until(isAsking);
    const interrupt = `mutation ($id: ID!) { interrupt(input: { executionId: $id }) { status } }`;
    expect((await other.graphql(interrupt, { id: asks.id })).data).toEqual({
      interrupt: { status: 'INTERRUPTED' },
    });
    await expect(send(gateway, asks.id, { text: 'late\n' })).rejects.toThrow('INPUT_CLOSED');
    const silent = await execute(gateway as TestGateway, user, 'input()');
    expect(silent).toMatchObject({ status: 'ERROR', error: { name: 'StdinNotImplementedError' } });
  });
});

describe('a command', () => {
  it('reads its standard input byte for byte to the end, and gets an empty one without allowInput', async () => {
    const bytes = randomBytes(10_000);
    const { id } = await submit(gateway, user, 'sha256sum', { ...BASH, ...INPUT });
    const output = followed(gateway, id);
    const [first, second] = [bytes.subarray(0, 4_001), bytes.subarray(4_001)];
    await send(other, id, { base64: first.toString('base64') });
    await send(gateway, id, { base64: second.toString('base64'), offset: 4_001, close: true });
    await output.until(isEnd);
    expect(output.text()).toContain(createHash('sha256').update(bytes).digest('hex'));
    expect(await runCommand(gateway as TestGateway, user, 'cat; echo end')).toMatchObject({
      status: 'OK',
      stdout: 'end\n',
    });
  });

  it('has a terminal that can be resized at any gateway', async () => {
    const { id } = await submit(gateway, user, 'PS1="ready> " bash --norc', PTY);
    const output = followed(gateway, id);
    const untilText = (text: string) => output.until(() => output.text().includes(text));
    await untilText('ready> ');
    await send(other, id, { text: 'stty size\n' });
    await untilText('24 80');
    const resize = `mutation ($id: ID!) { resizeTerminal(input: { executionId: $id, columns: 101, rows: 31 }) { resized } }`;
    for (const each of gateways)
      expect((await each.graphql(resize, { id })).data).toEqual({
        resizeTerminal: { resized: true },
      });
    await send(gateway, id, { text: 'stty size\n' });
    await untilText('31 101');
    // While bash reads a command line, the terminal does not echo. So input for `cat` is sent only
    // after `begun`.
    await send(gateway, id, { text: 'echo be""gun; cat\n' });
    await untilText('begun\r\n');
    await send(gateway, id, { text: 'to be ended\n' });
    // The line appears twice: the terminal echoes it, and `cat` prints it. So `cat` runs, and the interrupt key
    // reaches it, not the shell.
    await untilText('to be ended\r\nto be ended');
    await send(gateway, id, { text: '\u0003' });
    // A line that is sent before `cat` has died may be read by `cat`.
    await output.until(() => /\^C.*ready> $/s.test(output.text()));
    await send(gateway, id, { text: 'exit 7\n' });
    expect(await output.until(isEnd)).toMatchObject({
      execution: { status: 'ERROR', exitCode: 7 },
    });
    expect((await gateway.graphql(resize, { id })).data).toEqual({
      resizeTerminal: { resized: false },
    });
  });
});

it('ten megabytes wait for a reader that sleeps', async () => {
  const bytes = randomBytes(LARGE_BYTES);
  const code = 'sleep 2; sha256sum';
  const { id } = await submit(gateway, user, code, { ...BASH, ...INPUT });
  const output = followed(gateway, id);
  for (let offset = 0; offset < bytes.length; offset += PIECE) {
    const base64 = bytes.subarray(offset, offset + PIECE).toString('base64');
    await send(gateways[(offset / PIECE) % 2], id, { offset, base64 });
  }
  await send(other, id, { offset: bytes.length, close: true });
  await output.until(isEnd);
  expect(output.text()).toContain(createHash('sha256').update(bytes).digest('hex'));
}, 120_000);

it('input reaches code exactly once, even if the gateways that hold its worker die', async () => {
  let alive: TestGateway[] = [...gateways, await installation.start(), await installation.start()];
  const at = (n: number) => alive[n % alive.length];
  const command = await submit(at(0) as TestGateway, user, 'cat', { ...BASH, ...INPUT });
  const cell = await submit(at(1) as TestGateway, user, 'while True: print(input())', INPUT);
  const asked = [command.id, cell.id];
  let expected = '';
  for (let n = 0; n < LINES; n += 1) {
    const input = { offset: expected.length, text: `line ${n}\n` };
    if (n % DEATH_EVERY === DEATH_EVERY - 1 && alive.length > 2) {
      const holder = await installation.holderOfUser(user);
      const dying = holder.kill('SIGKILL');
      // The dying gateway may or may not get this line, and may have passed on only some of the earlier ones.
      for (const id of asked) await send(holder, id, input).catch(() => undefined);
      await dying;
      alive = alive.filter((each) => each !== holder);
    }
    // The same call at two gateways is applied once, even if the killed gateway has passed it on.
    for (const id of asked) for (const k of [n, n + 1]) await send(at(k), id, input);
    expected += input.text;
  }
  for (const id of asked) {
    await send(at(0), id, { offset: expected.length, close: true });
    const output = followed(at(1), id);
    await output.until(isEnd);
    expect(output.text()).toBe(expected);
  }
}, 180_000);
