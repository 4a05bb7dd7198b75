/** Measures how much sessions and executions make a gateway's heap grow. */
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { openInspector } from '../soak/inspector.ts';
import type { BenchRun, Figure } from '../suite/bench.ts';
import { httpExecute } from '../support/httpExecute.ts';
import { WAIT_MS } from '../support/newUsers.ts';

/** Time for compilers and caches to fill up. `bench -- endurance` shows how long that takes. */
const WARM_UP_EXECUTES = 4_000;
const EXECUTES = 4_000;
const SHORT_EXECUTES = 400;
const USERS_AT_WORK = 2;
const BYTES_PER_KIB = 1_024;
const BYTES_PER_MIB = 1_048_576;

/** @param sessions how many sessions are opened at once and then left idle */
export async function measureGatewayMemory(
  sessions: number,
  { isShort, say }: BenchRun,
): Promise<Figure[]> {
  const gateway = await startTestGateway({
    LOG_LEVEL: 'warn',
    MIN_IDLE_WORKERS: '0',
    MAX_TOTAL_WORKERS: String(USERS_AT_WORK + sessions),
    WORKER_WAIT_TIMEOUT_MS: String(WAIT_MS),
    NODE_OPTIONS: '--inspect=127.0.0.1:0',
  });
  try {
    const inspector = await openInspector(gateway.log());
    const live = async () => (await inspector.look()).liveBytes;
    await work(gateway, isShort ? SHORT_EXECUTES : WARM_UP_EXECUTES);
    const warm = await live();
    const executes = isShort ? SHORT_EXECUTES : EXECUTES;
    await work(gateway, executes);
    const worked = await live();
    say(`${sessions} sessions of one gateway`);
    await Promise.all(
      Array.from({ length: sessions }, (_, n) =>
        httpExecute({ ...gateway, userUuid: `idle-${n}` })('1+1', '2'),
      ),
    );
    const open = await live();
    inspector.close();
    return [
      { name: 'gateway: data after collection', unit: 'MiB', value: warm / BYTES_PER_MIB },
      {
        name: 'gateway: more per 1,000 executions',
        unit: 'KiB',
        value: ((worked - warm) / BYTES_PER_KIB / executes) * 1_000,
      },
      {
        name: `gateway: more per open session and its connection, of ${sessions}`,
        unit: 'KiB',
        value: (open - worked) / BYTES_PER_KIB / sessions,
      },
    ];
  } finally {
    await gateway.destroy();
  }
}

async function work(gateway: TestGateway, executes: number): Promise<void> {
  const each = Math.ceil(executes / USERS_AT_WORK);
  await Promise.all(
    Array.from({ length: USERS_AT_WORK }, async (_, n) => {
      const execute = httpExecute({ ...gateway, userUuid: `working-${n}` });
      for (let time = 0; time < each; time += 1) await execute('1+1', '2');
    }),
  );
}
