/** `cellhouse rebuild` over a long past, and what users notice of it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestGateway } from '../../test/support/gateway.ts';
import type { BenchRun, Figure } from '../suite/bench.ts';
import { httpExecute } from '../support/httpExecute.ts';
import { p50AndMax } from './p50AndMax.ts';

/** The command itself, in a process of its own, while a user works. */
export async function rebuildBesideUsers(
  gateway: TestGateway,
  userUuid: string,
  events: number,
  say: BenchRun['say'],
): Promise<Figure[]> {
  const execute = httpExecute({ ...gateway, userUuid });
  const quiet: number[] = [];
  for (let n = 0; n < 200; n += 1) quiet.push(await execute('1+1', '2'));
  const startedAt = performance.now();
  const cli = new URL('../../dist/cli.js', import.meta.url).pathname;
  const child = spawn(process.execPath, [cli, 'rebuild'], { env: { ...gateway.env } });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  let isOver = false;
  void once(child, 'exit').then(() => {
    isOver = true;
  });
  const beside: number[] = [];
  while (!isOver) beside.push(await execute('1+1', '2'));
  const tookS = (performance.now() - startedAt) / 1_000;
  say(printed.trim());
  return [
    { name: 'rebuild, with its start', unit: 's', value: tookS },
    { name: 'rebuild', unit: 'events/s', value: events / tookS },
    ...p50AndMax('execute before it', quiet),
    ...p50AndMax('execute beside it', beside),
  ];
}
