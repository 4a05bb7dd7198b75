import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GatewayLock, liveGateway, lockDataDir } from '../../src/process/gatewayLock.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'cellhouse-lock-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const LISTENER = `
  import { createServer } from 'node:net';
  createServer().listen(process.argv[1], () => process.send('listening'));`;

/** Leaves a socket without a listener, as a killed gateway does. */
async function leaveStaleSocket(): Promise<void> {
  const path = join(dataDir, 'gateway.sock');
  const program = spawn(process.execPath, ['--input-type=module', '--eval', LISTENER, path], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  await once(program, 'message');
  program.kill('SIGKILL');
  await once(program, 'exit');
}

describe('the lock on a data directory', () => {
  it('goes to one of many gateways that start at the same instant, even after a crash', async () => {
    await leaveStaleSocket();
    for (let round = 0; round < 10; round += 1) {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, () => lockDataDir(dataDir)),
      );
      const locks = outcomes.flatMap((each): GatewayLock[] =>
        each.status === 'fulfilled' ? [each.value] : [],
      );
      for (const each of outcomes) {
        if (each.status === 'rejected') expect(String(each.reason)).toContain('is running');
      }
      expect(locks).toHaveLength(1);
      expect(await liveGateway(dataDir)).toEqual({ pid: process.pid, isOfThisNamespace: true });
      for (const lock of locks) await lock.release();
      expect(await liveGateway(dataDir)).toBeNull();
    }
  });

  it('is refused with the id of the process that has it', async () => {
    const lock = await lockDataDir(dataDir);
    await expect(lockDataDir(dataDir)).rejects.toThrow(`(process ${process.pid})`);
    await lock.release();
  });

  it('is refused while a gateway from before this lock existed serves the socket', async () => {
    const server = createServer((socket) =>
      socket.end(JSON.stringify({ pid: 4_711, pidNamespace: 'another' })),
    );
    server.listen(join(dataDir, 'gateway.sock'));
    await once(server, 'listening');
    await expect(lockDataDir(dataDir)).rejects.toThrow('(process 4711)');
    server.close();
    await once(server, 'close');
    await (await lockDataDir(dataDir)).release();
  });

  it('is not kept by a child that outlives its gateway', async () => {
    const lock = await lockDataDir(dataDir);
    const child = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
    await once(child, 'spawn');
    await lock.release();
    await (await lockDataDir(dataDir)).release();
    child.kill('SIGKILL');
  });
});
