/** Keeps the machine busy beside tests: four processes that compute, and one that writes to a disk. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const COMPUTING_PROCESSES = 4;
/** Each ends by itself when its parent has gone, so a killed run leaves no load behind. */
const COMPUTE = `
  const parent = process.ppid;
  while (process.ppid === parent) for (let n = 0; n < 1e7; n += 1);`;
/** Writes 256 MiB again and again, and waits each time until they are on the disk. */
const WRITE = `
  const { openSync, writeSync, fsyncSync, closeSync } = require('node:fs');
  const parent = process.ppid;
  const piece = Buffer.alloc(1024 * 1024, 1);
  while (process.ppid === parent) {
    const file = openSync(process.argv[1], 'w');
    for (let n = 0; n < 256; n += 1) writeSync(file, piece);
    fsyncSync(file);
    closeSync(file);
  }`;

/** @returns {() => void} ends the load and removes its file */
export function startLoad() {
  const folder = mkdtempSync(join(tmpdir(), 'cellhouse-load-'));
  const start = (...args) => spawn(process.execPath, ['-e', ...args], { stdio: 'ignore' });
  const load = [start(WRITE, join(folder, 'file'))];
  while (load.length <= COMPUTING_PROCESSES) load.push(start(COMPUTE));
  return () => {
    for (const child of load) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
}
