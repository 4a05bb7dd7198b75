/** Measures `cellhouse rebuild` on a long history, and how much it slows down users. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import type { TestGateway } from '../../testkit/gateway.ts';
import type { BenchRun, Figure } from '../suite/bench.ts';
import { httpExecute } from '../support/httpExecute.ts';
import { p50AndMax } from './p50AndMax.ts';

/** Runs the command in its own process while a user works. */
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
  const printed = Promise.all([text(child.stdout), text(child.stderr)]);
  const exited = once(child, 'exit');
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  exited.then(over, over);
  const beside: number[] = [];
  try {
    while (!isOver) beside.push(await execute('1+1', '2'));
  } finally {
    child.kill('SIGKILL');
  }
  const tookS = (performance.now() - startedAt) / 1_000;
  const [code] = await exited;
  const [said, complaint] = await printed;
  if (code !== 0) throw new Error(`cellhouse rebuild ended with ${code}: ${complaint}`);
  say(said.trim());
  return [
    { name: 'rebuild, with its start', unit: 's', value: tookS },
    { name: 'rebuild', unit: 'events/s', value: events / tookS },
    ...p50AndMax('execute before it', quiet),
    ...p50AndMax('execute beside it', beside),
  ];
}
