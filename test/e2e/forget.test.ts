/**
 * `cellhouse forget` by the command of docs/run/forget.md, beside a gateway with real workers. The command is killed
 * midway, and then loses its database.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import { execute, submit } from '../../testkit/interpreter.ts';
import { runCli } from '../../testkit/runCli.ts';
import { until } from '../../testkit/until.ts';
import { createDatabaseProxy, type DatabaseProxy } from '../support/databaseProxy.ts';
import { askFiles } from '../support/fileClient.ts';
import { newMark, searchEverywhere } from '../support/forgettable.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';
import { commandOf } from '../support/userPages.ts';

const CLI = new URL('../../dist/cli.js', import.meta.url).pathname;
const USER = newMark('ann');
const COMMAND = commandOf('docs/run/forget.md', 'npx cellhouse forget --user ', { ann: USER });
/** Without a terminal, the command needs `--yes`. */
const FORGET = [...COMMAND.split(' ').slice(2), '--yes'];

let installation: TestInstallation;
let gateway: TestGateway;
let proxy: DatabaseProxy;
beforeAll(async () => {
  installation = await createInstallation({ MIN_IDLE_WORKERS: '0', LOG_LEVEL: 'debug' });
  gateway = await installation.start();
  proxy = await createDatabaseProxy(installation.address);
});
afterAll(async () => {
  await installation.destroy();
  await proxy.close();
});

/** Uses everything that stores something of a user, and leaves code running. @returns the marks that it stored */
async function useMuch(): Promise<string[]> {
  const marks: string[] = [];
  const mark = (what: string) => {
    marks.push(newMark(what));
    return marks.at(-1) as string;
  };
  const environmentVariables = [{ name: mark('variable'), value: 'v' }];
  const code = `print("${mark('text')}"); open("${mark('file')}", "w").close(); raise ValueError("${mark('error')}")`;
  const failed = await execute(gateway, USER, code, {
    ...{ environmentVariables, idempotencyKey: mark('key') },
  });
  expect(failed.error?.name).toBe('ValueError');
  const files = await askFiles(gateway, {
    ...{ method: 'PUT', path: `${USER}/${mark('folder')}/${mark('path')}`, body: mark('content') },
  });
  expect(files.status).toBe(201);
  const { id } = await submit(gateway, USER, 'input()\nimport time\ntime.sleep(600)', {
    allowInput: true,
  });
  const sent = await gateway.graphql(
    'mutation ($id: ID!, $text: String!) { sendInput(input: { executionId: $id, offset: 0, data: { text: $text } }) { nextOffset } }',
    { id, text: `${mark('input')}\n` },
  );
  expect(sent.errors).toBeUndefined();
  const named = `mutation { createToken(input: { name: "${mark('token')}", role: USER, userUuid: "${USER}" }) { secret } }`;
  expect((await gateway.graphql(named)).errors).toBeUndefined();
  return marks;
}

interface Command {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>;
}

function start(env: Readonly<Record<string, string>>): Command {
  const child = spawn(process.execPath, [CLI, ...FORGET], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = Promise.all([text(child.stdout), text(child.stderr)]);
  const ended = once(child, 'exit').then(async ([code]) => ({
    code,
    output: (await printed).join(''),
  }));
  return { child, ended };
}

/**
 * Ends a command when it has forgotten the sessions, but not yet the executions: a lock on a row of `executions` makes
 * the command wait there.
 */
async function endedInTheMiddle(command: () => Command, end: (command: Command) => void) {
  const { sql } = installation;
  const output = await sql.begin(async (transaction) => {
    // On a busy machine, the command may take longer to end than a client's transaction may stay idle.
    await transaction`SET LOCAL idle_in_transaction_session_timeout = 0`;
    // The row of an ended execution: the gateway must be able to record the end of the running one.
    await transaction`
      SELECT FROM executions WHERE user_uuid = ${USER} AND finished_at IS NOT NULL LIMIT 1 FOR UPDATE`;
    const connections = async () => {
      // Without this, the view shows the same rows until the transaction ends.
      await transaction`SELECT pg_stat_clear_snapshot()`;
      return await transaction<{ pid: number; waits: boolean }[]>`
        SELECT pid, wait_event_type IS NOT DISTINCT FROM 'Lock' AS waits
        FROM pg_stat_activity WHERE application_name = 'cellhouse forget'`;
    };
    // PostgreSQL notices late that a killed command is gone: its connection may still wait for the row.
    const former = (await connections()).map(({ pid }) => pid);
    const started = command();
    const isWaiting = async () =>
      (await connections()).some(({ pid, waits }) => waits && !former.includes(pid));
    await until('the command to wait for a row', isWaiting);
    end(started);
    return await started.ended;
  });
  const executions = await sql`SELECT user_uuid FROM executions WHERE user_uuid = ${USER}`;
  expect(executions).toHaveLength(2);
  const sessions = await sql`SELECT user_uuid FROM sessions WHERE user_uuid = ${USER}`;
  expect(sessions).toHaveLength(0);
  return output;
}

it('cellhouse forget, repeated after kill -9 and the loss of its database, leaves nothing of the user', async () => {
  const marks = await useMuch();
  await execute(gateway, 'bob', 'x = 7');
  for (const mark of marks)
    expect([mark, await searchEverywhere(installation, [mark])]).not.toEqual([mark, []]);

  const overSocket = () => start(gateway.env);
  expect(await endedInTheMiddle(overSocket, ({ child }) => child.kill('SIGKILL'))).toMatchObject({
    code: null,
  });
  const overProxy = () => start({ ...gateway.env, DATABASE_URL: proxy.url });
  const lost = await endedInTheMiddle(overProxy, () => proxy.cut());
  expect(lost).toMatchObject({
    code: 1,
    output: expect.stringContaining('the connection to it was lost'),
  });
  expect(lost.output).not.toContain('TypeError');
  const { code, output } = await runCli(FORGET, gateway.env);
  expect(output).toContain('No table has it any more.');
  expect(code).toBe(0);

  expect(await searchEverywhere(installation, [...marks, USER])).toEqual([]);
  const { sql } = installation;
  const names = await sql`
    SELECT user_uuid FROM executions WHERE user_uuid <> 'bob'
    UNION SELECT user_uuid FROM sessions WHERE user_uuid <> 'bob'
    UNION SELECT user_uuid FROM file_changes UNION SELECT user_uuid FROM tokens`;
  expect([...names]).toEqual([{ userUuid: expect.stringMatching(/^forgotten-/) }]);
  expect((await runCli(['audit', 'verify'], gateway.env)).output).toContain('Nothing was found.');
  expect((await execute(gateway, 'bob', 'print(x)')).stdout).toBe('7\n');
  expect(await execute(gateway, USER, '1')).toMatchObject({ status: 'OK', stateLost: false });
});
