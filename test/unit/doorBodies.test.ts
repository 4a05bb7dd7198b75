/** How doors read the bodies of requests, and how they refuse wrong ones. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { NEW_SANDBOX } from '../../src/doors/e2b/control/newSandbox.ts';
import { checked, optionalBody, readJson, texts } from '../../src/doors/shared/body.ts';

const TEXTS = texts('must be an object of strings.');
const SCHEMA = optionalBody({ name: z.string('must be a string.').nullish(), texts: TEXTS });
const read = (text: string) => readJson({ readBody: async () => text }, SCHEMA);

describe('a body', () => {
  it('may be absent, null, or have unknown fields', async () => {
    for (const text of ['', ' ', 'null', '{}', '{"other":1}']) expect(await read(text)).toEqual({});
    expect(await read('{"name":null}')).toEqual({ name: null });
  });

  it.each([
    ['{', 'The body must be JSON.'],
    ['[]', 'The body must be a JSON object.'],
    ['{"name":1}', 'name must be a string.'],
    ['{"texts":["a"]}', 'texts must be an object of strings.'],
    ['{"texts":{"a":null}}', 'texts must be an object of strings.'],
  ])('that is wrong is refused with a message: %s', async (text, message) => {
    await expect(read(text)).rejects.toMatchObject({ code: 'BAD_USER_INPUT', message });
  });

  it.each([
    [{ autoResume: { enabled: 'x' } }, 'autoResume.enabled must be true or false.'],
    [{ network: { allowOut: [1] } }, 'network.allowOut must be an array of strings.'],
  ])('says which field within a field is wrong: %j', (wrong, message) => {
    expect(() => checked({ templateID: 'base', ...wrong }, NEW_SANDBOX)).toThrow(message);
  });

  it('has at most one fault for each known field, however much is wrong in it', () => {
    const wrong = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [index, 0]));
    const network = { ...wrong, allowOut: Object.values(wrong) };
    const body = { templateID: 'base', metadata: wrong, envVars: wrong, network };
    const read = NEW_SANDBOX.safeParse({ ...body, iam: { tokens: wrong } });
    expect(read.error?.issues.map(({ path }) => path.join('.'))).toEqual([
      'metadata',
      'envVars',
      'network.allowOut',
      'iam.tokens',
    ]);
  });

  it('keeps field names such as __proto__ and constructor', async () => {
    const text = '{"texts":{"__proto__":"a","constructor":"b"}}';
    expect(JSON.stringify(await read(text))).toBe(text);
  });
});
