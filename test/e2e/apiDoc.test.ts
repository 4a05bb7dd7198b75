/** docs/api.md, from top to bottom: each operation gives the answer that stands below it. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';

const doc = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
const pairs = [...doc.matchAll(/```graphql\n([\s\S]*?)```\n\n```json\n([\s\S]*?)```/g)].map(
  ([, operation = '', answer = '']) => ({ operation, answer: JSON.parse(answer) as unknown }),
);

let gateway: TestGateway;
/** What `$id` stands for: the last execution that was submitted. */
let id = '';
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway.destroy());

/** The answer as written, but that `…` stands for anything. */
function pattern(answer: unknown): unknown {
  if (answer === '…') return expect.anything();
  if (typeof answer === 'string' && answer.includes('…'))
    return expect.stringMatching(answer.split('…').map(escaped).join('.+'));
  if (Array.isArray(answer)) return answer.map(pattern);
  if (typeof answer !== 'object' || answer === null) return answer;
  return Object.fromEntries(Object.entries(answer).map(([key, value]) => [key, pattern(value)]));
}

const escaped = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

async function run(operation: string): Promise<unknown> {
  const query = operation.replaceAll('$id', id);
  if (query.startsWith('subscription')) {
    const events: unknown[] = [];
    for await (const { data } of gateway.socket().iterate({ query })) events.push(data);
    return events;
  }
  const { data, errors } = await gateway.graphql<Record<string, { id?: string }>>(query);
  if (data?.submit?.id) id = data.submit.id;
  return errors ? { errors } : data;
}

describe('docs/api.md', () => {
  it('shows an answer with every operation', () => {
    expect(pairs.length).toBeGreaterThan(15);
    expect(doc.match(/```graphql/g)).toHaveLength(pairs.length);
  });

  it.each(pairs.map(({ operation, answer }) => [operation, answer] as const))(
    '%s',
    async (operation, answer) => {
      const given = await run(operation);
      if (Array.isArray(answer)) expect(given).toEqual(pattern(answer));
      else expect(given).toMatchObject(pattern(answer) as object);
    },
  );
});
