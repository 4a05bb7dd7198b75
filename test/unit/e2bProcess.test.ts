/** How the E2B door translates commands and their ends. */

import { describe, expect, it } from 'vitest';
import {
  codeOf,
  lineOf,
  runningIn,
  selectedIn,
  sendInput,
  startRequestIn,
} from '../../src/doors/e2b/envd/process.ts';
import { chunksOf, endEventOf } from '../../src/doors/e2b/envd/processEvents.ts';
import type { SandboxCall } from '../../src/doors/e2b/sandbox.ts';
import type { InputRequest } from '../../src/service/execute/sendInput.ts';
import { executionRow } from '../support/memoryService.ts';
import { fc } from '../support/seeded.ts';

describe('a program and its arguments', () => {
  it.each<[string, string[], string]>([
    ['/bin/bash', ['-l', '-c', 'echo "$A" | cat'], 'echo "$A" | cat'],
    ['/bin/bash', ['-i', '-l'], 'exec -- /bin/bash -i -l'],
    ['/bin/bash', ['-c', 'a b'], "exec -- /bin/bash -c 'a b'"],
    ['/bin/bash', ['-l', '-c', ''], "exec -- /bin/bash -l -c ''"],
    ['ls', ["it's", 'a\nb', '$HOME', 'ж'], `exec -- ls 'it'\\''s' 'a\nb' '$HOME' 'ж'`],
    // Recorded as plain code, this would be read back as another program.
    ['/bin/bash', ['-l', '-c', 'exec -- ls'], "exec -- /bin/bash -l -c 'exec -- ls'"],
    ['/bin/bash', ['-l', '-c', "exec -- ls ''$A"], "exec -- ls ''$A"],
  ])('%s %j are recorded as code, from which they are read back', (cmd, args, code) => {
    expect(codeOf({ cmd, args })).toBe(code);
    expect(lineOf(code)).toEqual({ cmd, args });
  });

  it('can be read back, whatever they are', () => {
    const word = fc.oneof(
      fc.string(),
      fc.constantFrom('/bin/bash', '-l', '-c', 'exec -- ls', "'", "'\\''", '', ' ', 'exec --'),
    );
    fc.assert(
      fc.property(word, fc.array(word, { maxLength: 4 }), (cmd, args) => {
        expect(lineOf(codeOf({ cmd, args }))).toEqual({ cmd, args });
      }),
    );
  });

  it('of a command that came by another door are a shell and the code', () => {
    fc.assert(
      fc.property(fc.string(), (code) => {
        const { cmd, args } = lineOf(`${code} `);
        expect([cmd, ...args]).toEqual(['/bin/bash', '-l', '-c', `${code} `]);
      }),
    );
  });
});

describe('a message that asks for a start', () => {
  const process = { cmd: '/bin/bash', args: ['-l', '-c', 'true'] };

  it('has defaults for the fields that the SDKs leave out', () => {
    const plain = {
      ...{ code: 'true', environmentVariables: [], folder: null, label: null, pty: null },
      allowInput: true,
    };
    expect(startRequestIn({ process })).toEqual(plain);
    const nulls = { process: { ...process, envs: null, cwd: null }, tag: null, pty: null };
    expect(startRequestIn({ ...nulls, stdin: null })).toEqual(plain);
    expect(startRequestIn({ process, stdin: false }).allowInput).toBe(false);
    const size = { cols: 80, rows: '24' };
    expect(startRequestIn({ process, pty: { size }, tag: 't' })).toMatchObject({
      ...{ pty: { columns: 80, rows: 24 }, allowInput: false, label: 't' },
    });
  });

  it.each([
    ['', null],
    ['~', null],
    ['~/a', '/home/user/a'],
    ['a/b', 'a/b'],
    ['/tmp', '/tmp'],
  ])('with the folder %j means %j', (cwd, folder) => {
    expect(startRequestIn({ process: { ...process, cwd } }).folder).toBe(folder);
  });

  it.each([
    {},
    { process: { args: [] } },
    { process: { ...process, args: 'a' } },
    { process: { ...process, args: [1] } },
    { process: { ...process, envs: { A: 1 } } },
    { process, stdin: 'yes' },
    { process, tag: 7 },
    { process, pty: { size: { cols: -1, rows: 1 } } },
  ])('is refused: %j', (message) => {
    expect(() => startRequestIn(message)).toThrow(
      expect.objectContaining({ code: 'invalid_argument' }),
    );
  });
});

describe('the end of a command', () => {
  const ended = (facts: Parameters<typeof executionRow>[0], hasEnded = false) =>
    endEventOf({ hasEnded: async () => hasEnded }, executionRow({ language: 'BASH', ...facts }));
  const end = (told: object) => ({ event: { end: told } });

  it('by itself is reported with the exit code, even if that is 0', async () => {
    const fine = { exitCode: 0, exited: true, status: 'exit status 0' };
    expect(await ended({ status: 'OK', exitCode: 0 })).toEqual(end(fine));
    const status = 'exit status 3';
    const failed = end({ exitCode: 3, exited: true, status, error: status });
    for (const how of ['ERROR', 'INTERRUPTED'] as const)
      expect(await ended({ status: how, exitCode: 3 })).toEqual(failed);
  });

  it.each([
    ['SIGKILL', 'killed'],
    ['SIGTERM', 'terminated'],
    ['SIGSEGV', 'segmentation fault'],
    ['SIG34', 'SIG34'],
    [null, 'killed'],
  ])('by %s is reported in the words of Go', async (signal, word) => {
    const status = `signal: ${word}`;
    const told = end({ exitCode: -1, exited: false, status, error: status });
    expect(await ended({ status: 'ERROR', signal })).toEqual(told);
  });

  it.each<[string, Parameters<typeof executionRow>[0], boolean, string]>([
    ['its time limit', { status: 'TIMEOUT', signal: 'SIGINT' }, false, 'deadline_exceeded'],
    ['the end of its session', { status: 'CANCELLED' }, true, 'SESSION_ENDED'],
    ['the end of its worker', { status: 'WORKER_LOST' }, true, 'SESSION_ENDED'],
    ['an interrupt before it began', { status: 'CANCELLED' }, false, 'canceled'],
    [
      'a failure to start it',
      { status: 'ERROR', errorName: 'CommandNotStarted', errorValue: 'No process' },
      false,
      'invalid_argument',
    ],
  ])('by %s is an error of the stream', async (_, facts, hasEnded, code) => {
    await expect(ended(facts, hasEnded)).rejects.toMatchObject({ code });
  });
});

describe('a process that is asked for', () => {
  const asked = (hasEnded: boolean, found: unknown = null) => ({
    ...{ userUuid: 'someone', hasEnded: async () => hasEnded },
    call: { service: { command: async () => found } } as unknown as SandboxCall['call'],
  });
  const message = { process: { pid: 7 } };

  it('is not found if it does not run, but if its sandbox has ended, the error says so', async () => {
    await expect(selectedIn(asked(false), message)).rejects.toMatchObject({ code: 'not_found' });
    await expect(selectedIn(asked(true), message)).rejects.toMatchObject({ code: 'SESSION_ENDED' });
    const ended = { execution: executionRow({ language: 'BASH', pid: 7 }), lastSeq: 1 };
    await expect(runningIn(asked(false, ended), message)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('gets long input in pieces, each with the number of bytes that follow it', async () => {
    const execution = executionRow({
      ...{ language: 'BASH', pid: 7, finishedAt: null },
      options: { allowInput: true },
    });
    const calls: InputRequest[] = [];
    const service = {
      command: async () => ({ execution, lastSeq: 0 }),
      sendInput: async (request: InputRequest) => {
        calls.push(request);
        const at = request.offset ?? 10;
        return { nextOffset: at + Buffer.from(request.base64 ?? '', 'base64').length };
      },
    };
    const call = { service } as unknown as SandboxCall['call'];
    const input = { stdin: Buffer.alloc(140_000, 'x').toString('base64') };
    await sendInput.handle({ ...asked(false), call } as SandboxCall, { ...message, input });
    expect(calls.map(({ offset, followingBytes }) => [offset, followingBytes])).toEqual([
      [null, 74_464],
      [65_546, 8_928],
      [131_082, 0],
    ]);
  });
});

describe('chunks of output', () => {
  it('have at most the given number of bytes, and split no character of UTF-8', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 4, max: 16 }), (text, max) => {
        const chunks = [...chunksOf(Buffer.from(text), max)];
        expect(chunks.map(String).join('')).toBe(text);
        for (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(max);
      }),
    );
  });

  it('of bytes that are not UTF-8 keep every byte', () => {
    const bytes = Buffer.alloc(100, 0x80);
    expect(Buffer.concat([...chunksOf(bytes, 7)])).toEqual(bytes);
  });
});
