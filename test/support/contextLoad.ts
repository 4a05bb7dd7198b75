/**
 * Work of many contexts and commands at gateways that are killed meanwhile. Each call is repeated at the next gateway
 * until it is answered.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import { execute, restartKernel, runCommand } from '../../testkit/interpreter.ts';
import { askFiles } from './fileClient.ts';

export interface Counter {
  readonly user: string;
  /** Null: the default context. */
  readonly contextId: string | null;
  readonly tag: string;
}

export interface ShellCounter {
  readonly user: string;
  /** Unique for the user. Also the exit code of the command. */
  readonly number: number;
}

/** The file of the home to which each command adds a line. */
const RAN = 'ran';
const COUNTS = 20;
const LINES = [0, 1, 2];
/** The lines that a command prints. Meanwhile, every gateway is killed. */
const COMMAND_LINES = Array.from({ length: 40 }, (_, index) => index + 1);
const FILE_BYTES = 200_000;
const RESTART_PAUSE_MS = 200;
const ATTEMPTS = 200;
const ATTEMPT_PAUSE_MS = 100;
const LIMIT_MS = 120_000;

export function contextLoad(gateways: readonly TestGateway[]) {
  /** The call's answer, from the first gateway that gives one. Keep expectations out of `call`, which is repeated. */
  async function persist<T>(call: (at: TestGateway) => Promise<T>): Promise<T> {
    let last: unknown;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const at = gateways[attempt % gateways.length];
      if (!at) throw new Error('There are no gateways.');
      try {
        return await call(at);
      } catch (error: unknown) {
        last = error;
        await delay(ATTEMPT_PAUSE_MS);
      }
    }
    throw last;
  }

  return {
    /** Counts in a context. Each step must see the one before it, and print nothing else. */
    count: async ({ user, contextId, tag }: Counter): Promise<void> => {
      for (let n = 1; n <= COUNTS; n += 1) {
        const code = `import time\nn = globals().get('n', 0) + 1
for i in range(${LINES.length}):\n    print('${tag}', n, i)\n    time.sleep(0.05)`;
        const key = { contextId, idempotencyKey: `${tag} ${n}`, timeoutMs: LIMIT_MS };
        const ran = await persist((at) => execute(at, user, code, key));
        expect(ran).toMatchObject({ status: 'OK', stateLost: false, error: null });
        expect(ran.stdout).toBe(LINES.map((i) => `${tag} ${n} ${i}\n`).join(''));
      }
    },
    /** Counts in a command, which must run once, end with its own exit code, and print nothing else. */
    countInShell: async ({ user, number }: ShellCounter): Promise<void> => {
      const tag = `${user} command ${number}`;
      const code = `echo '${tag}' >> ${RAN}
for i in $(seq ${COMMAND_LINES.length}); do echo '${tag}' $i; sleep 0.2; done; exit ${number}`;
      const key = { idempotencyKey: tag, timeoutMs: LIMIT_MS };
      const ran = await persist((at) => runCommand(at, user, code, key));
      expect(ran).toMatchObject({ exitCode: number, signal: null, stateLost: false });
      expect(ran.stdout).toBe(COMMAND_LINES.map((i) => `${tag} ${i}\n`).join(''));
    },
    /** The tags of this user's commands, one for each time that a command has run. */
    commandsThatRan: async (user: string): Promise<string[]> =>
      (await persist((at) => runCommand(at, user, `sort ${RAN}`))).stdout.trimEnd().split('\n'),
    /** Uploads a file and downloads it, again and again until `isOver`. */
    moveFiles: async (user: string, isOver: () => boolean): Promise<void> => {
      const path = `${encodeURIComponent(user)}/moved.bin`;
      for (let n = 0; !isOver(); n += 1) {
        const body = Buffer.alloc(FILE_BYTES, n % 256);
        const got = await persist(async (at) => {
          const put = await askFiles(at, { method: 'PUT', path, body });
          const answer = await askFiles(at, { method: 'GET', path });
          if (put.status > 299 || answer.status !== 200)
            throw new Error(`PUT ${put.status}, GET ${answer.status}`);
          return answer.body;
        });
        expect(got.equals(body)).toBe(true);
      }
    },
    /** Restarts the kernel of a context, again and again until `isOver`. */
    restartOften: async (user: string, contextId: string, isOver: () => boolean): Promise<void> => {
      while (!isOver()) {
        await persist((at) => restartKernel(at, user, contextId));
        await delay(RESTART_PAUSE_MS);
      }
    },
  };
}
