/** Environment variables and folder of one execution, with real workers and two gateways. */
import Docker from 'dockerode';
import { expect, it } from 'vitest';
import {
  containerOf,
  createContext,
  execute,
  executeBatch,
  follow,
  runCommand,
  submit,
} from '../../testkit/interpreter.ts';
import {
  gateway,
  gateways,
  installation,
  user,
  useTwoRealGateways,
} from '../support/installation.ts';

useTwoRealGateways();

/** A value may be any text that Linux takes. */
const TRICKY = '\u0001 "\\\' \n\t $HOME `id` %s {} 漢 \u2028 \ud83d\ude00';
const SECRET = 'never-told-anywhere';
const LONG = { timeoutMs: 120_000 };
const LOOK = "import os; print([os.environ.get(n) for n in ('A', 'B')], os.getcwd())";
const DEFAULT_LOOK = '[None, None] /home/user\n';

const given = (values: Readonly<Record<string, string>>) =>
  Object.entries(values).map(([name, value]) => ({ name, value }));
const run = (code: string, options = {}) => execute(gateway, user, code, options);

it('a cell and a command have their variables and folder, and later code does not', async () => {
  await run("import os; os.makedirs('work')");
  const options = { environmentVariables: given({ A: TRICKY }), workingDirectory: 'work' };
  const { resultText } = await run('os.environ["A"]', options);
  expect(resultText).toBe(pythonText(TRICKY));
  expect((await runCommand(gateway, user, 'printf %s "$A"; pwd', options)).stdout).toBe(
    `${TRICKY}/home/user/work\n`,
  );
  expect((await run(LOOK)).stdout).toBe(DEFAULT_LOOK);
  expect((await runCommand(gateway, user, 'printenv A || echo none; pwd')).stdout).toBe(
    'none\n/home/user\n',
  );
  const cells = [{ code: LOOK, ...options }, { code: LOOK }];
  const [own, plain] = await executeBatch(gateway, user, cells);
  expect(own?.stdout).toContain('/home/user/work');
  expect(plain?.stdout).toBe(DEFAULT_LOOK);
});

it('code in a folder that does not exist does not run', async () => {
  const options = { environmentVariables: given({ A: '1' }), workingDirectory: 'missing' };
  const why = 'It could not enter the folder: No such file or directory';
  expect(await run("open('ran', 'w')", options)).toMatchObject({
    status: 'ERROR',
    stateLost: false,
    error: { name: 'CellNotStarted', value: why },
  });
  expect(await runCommand(gateway, user, 'touch ran', options)).toMatchObject({
    status: 'ERROR',
    error: { name: 'CommandNotStarted', value: why },
  });
  expect((await run("import os; print(os.path.exists('ran'))")).stdout).toBe('False\n');
  expect((await run(LOOK)).stdout).toBe(DEFAULT_LOOK);
});

it('contexts that run at the same time do not see variables or folders of each other', async () => {
  const { id: contextId } = await createContext(gateway, user);
  const meet = (own: string, other: string) => `${LOOK}
import time
open('met-${own}', 'w').close()
while not os.path.exists('/home/user/met-${other}') and not os.path.exists('/tmp/met-${other}'): time.sleep(0.01)
${LOOK}`;
  const [one, other] = await Promise.all([
    run(meet('one', 'other'), { environmentVariables: given({ A: 'one' }) }),
    run(meet('other', 'one'), {
      environmentVariables: given({ B: 'other' }),
      workingDirectory: '/tmp',
      contextId,
    }),
  ]);
  expect(one?.stdout).toBe("['one', None] /home/user\n".repeat(2));
  expect(other?.stdout).toBe("[None, 'other'] /tmp\n".repeat(2));
  for (const options of [{}, { contextId }])
    expect((await run(LOOK, options)).stdout).toBe(DEFAULT_LOOK);
});

it('code that is queued when its gateway is killed has its variables and folder at the next gateway', async () => {
  const doomed = await installation.start();
  await execute(doomed, user, '1');
  const first = await submit(
    doomed,
    user,
    "import time; print('begun', flush=True); time.sleep(8)",
    LONG,
  );
  const ids: string[] = [];
  for (const n of [1, 2]) {
    const environmentVariables = given({ A: `${n}`, B: TRICKY });
    const options = { ...LONG, environmentVariables, workingDirectory: '/tmp' };
    ids.push(
      (await submit(doomed, user, `${LOOK}; open('/tmp/ran', 'a').write('${n}');`, options)).id,
    );
  }
  await doomed.kill('SIGKILL');
  const [, other] = gateways;
  expect((await follow(other.socket(), first.id)).at(-1)).toMatchObject({
    execution: { status: 'OK' },
  });
  for (const [index, id] of ids.entries()) {
    const outputs = await follow(other.socket(), id);
    expect(outputs).toMatchObject([
      { text: `['${index + 1}', ${pythonText(TRICKY)}] /tmp\n` },
      { execution: { status: 'OK', stateLost: false } },
    ]);
  }
  expect((await execute(other, user, "open('/tmp/ran').read()")).resultText).toBe("'12'");
});

it('values are in no table, log or description of a container once the code has ended', async () => {
  const options = { environmentVariables: given({ TOKEN: SECRET }), idempotencyKey: 'k' };
  await run('import os; len(os.environ["TOKEN"])', options);
  await runCommand(gateway, user, 'printenv TOKEN | wc -c', { ...options, idempotencyKey: 'c' });
  await run('import os; os._exit(1)', { ...options, idempotencyKey: 'd' });
  const container = new Docker().getContainer(await containerOf(gateway, user));
  const logs = await container.logs({ stdout: true, stderr: true, follow: false });
  const seen = [logs.toString('utf8'), JSON.stringify(await container.inspect())];
  for (const each of gateways) seen.push(each.log());
  for (const text of seen) expect(text).not.toContain(SECRET);
  const tables = await installation.sql<{ name: string }[]>`
    SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
    WHERE table_schema IN ('public', 'audit')`;
  expect(tables.length).toBeGreaterThan(20);
  for (const { name } of tables) {
    const rows = await installation.sql.unsafe(`SELECT 1 FROM ${name} t WHERE t::text LIKE $1`, [
      `%${SECRET}%`,
    ]);
    expect([name, rows.length]).toEqual([name, 0]);
  }
  const { data } = await gateway.graphql(
    `query ($user: String!) { executions(userUuid: $user) { edges { node { environmentVariableNames workingDirectory } } } }`,
    { user },
  );
  const node = { environmentVariableNames: ['TOKEN'], workingDirectory: null };
  expect(data).toEqual({ executions: { edges: [{ node }, { node }, { node }] } });
});

/** The text as Python shows it. */
function pythonText(text: string): string {
  const shown = text
    .replace(/\\/g, '\\\\')
    .replace(/'/g, "\\'")
    .replace(/\n/g, '\\n')
    .replace(/\t/g, '\\t')
    .replace('\u0001', '\\x01')
    .replace('\u2028', '\\u2028');
  return `'${shown}'`;
}
