/** The news that the caller of `executeFollowed` gets, at the gateway that holds the worker and at another one. */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { OwnNews } from '../../src/service/execute/execute.ts';
import type { ExecuteRequest } from '../../src/service/execute/validateRequest.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { useRealService } from '../support/serviceGateways.ts';

const { gateways } = await useRealService(2);
const userUuid = randomUUID();

/** The service of the gateway with this number. */
function serviceAt(at: number) {
  const gateway = gateways[at];
  if (!gateway) throw new Error('There are two gateways.');
  return gateway.service;
}

beforeAll(async () => {
  await serviceAt(0).execute(AUTH_TOKEN_HOLDER, { userUuid, code: 'x = 1' });
});

const follow = (at: number, request: Partial<ExecuteRequest>, gone = new AbortController()) =>
  serviceAt(at).executeFollowed(
    AUTH_TOKEN_HOLDER,
    { userUuid, code: '', isNotebookCell: true, ...request },
    gone.signal,
  );

/** Makes a file, by a command that runs beside the cells. */
const touch = (at: number, name: string) =>
  serviceAt(at).execute(AUTH_TOKEN_HOLDER, { userUuid, code: `touch ${name}`, language: 'BASH' });

/** A piece of news in short. */
function short(news: OwnNews): unknown[] {
  if (news.type !== 'output') return [news.type, news.execution.status];
  const { output } = news.item;
  return output.kind === 'stream' ? ['stream', output.text] : [output.kind];
}

describe.each([0, 1])('at gateway %i', (at) => {
  it('reports the beginning with the execution count, outputs as they come, and the end', async () => {
    // The code goes on only after its first output was reported.
    const code = `import os, time
print("a")
while not os.path.exists("told-${at}"): time.sleep(0.02)
print("b")
x`;
    const { execution, news } = await follow(at, { code });
    expect(execution.status).toBe('QUEUED');
    const told: unknown[] = [];
    let count: number | null = null;
    for await (const each of news) {
      told.push(short(each));
      if (each.type === 'begun') count = each.execution.executionCount;
      if (each.type === 'output' && told.length === 2) await touch(at, `told-${at}`);
    }
    expect(count).toBeGreaterThan(1);
    const outputs = [['stream', 'a\n'], ['stream', 'b\n'], ['result']];
    expect(told).toEqual([['begun', 'RUNNING'], ...outputs, ['ended', 'OK']]);
  });

  it('reports at once that code without output has begun', async () => {
    const gone = new AbortController();
    const { execution, news } = await follow(at, { code: 'time.sleep(60)' }, gone);
    const told: unknown[] = [];
    for await (const each of news) {
      told.push(short(each));
      if (each.type === 'begun') void serviceAt(at).interrupt(AUTH_TOKEN_HOLDER, execution.id);
    }
    expect(told).toEqual([['begun', 'RUNNING'], ['error'], ['ended', 'INTERRUPTED']]);
  });

  it('reports only the end of code that never begins', async () => {
    const first = await follow(at, { code: 'time.sleep(60)' });
    const { execution, news } = await follow(at, { code: '1' });
    const ended = serviceAt(at).interrupt(AUTH_TOKEN_HOLDER, execution.id);
    const told: unknown[] = [];
    for await (const each of news) told.push(short(each));
    expect(told).toEqual([['ended', 'CANCELLED']]);
    await ended;
    await serviceAt(at).interrupt(AUTH_TOKEN_HOLDER, first.execution.id);
  });

  it('reports nothing more to a caller who has gone, and the code goes on', async () => {
    const gone = new AbortController();
    const code = 'time.sleep(1)\ny = "went on"';
    const { news } = await follow(at, { code }, gone);
    const told: unknown[] = [];
    for await (const each of news) {
      told.push(short(each));
      gone.abort();
    }
    expect(told).toEqual([['begun', 'RUNNING']]);
    const after = await follow(at, { code: 'print(y)' });
    const heard: unknown[] = [];
    for await (const each of after.news) heard.push(short(each));
    expect(heard).toContainEqual(['stream', 'went on\n']);
  });
});
