/**
 * Runs several writers in their own process, on the built event store:
 * `node writerProcess.mjs <address> <writers> <commits>`. It prints `open` once it is connected, and begins when it
 * reads a line. It prints each acknowledged commit as a line `{"eventIds": [...], "positions": [...]}`, and exits
 * with 1 if any commit fails.
 */
import { once } from 'node:events';
import { pino } from 'pino';
import { openDatabase } from '../../dist/events/openDatabase.js';
import { newId } from '../../dist/process/newId.js';

const [address, writers, commits] = process.argv.slice(2);
const logger = pino({ level: 'silent' });
const database = await openDatabase(JSON.parse(address ?? ''), {
  gatewayId: newId(),
  logger,
  newId,
});

function requested() {
  const workerId = newId();
  const data = {
    workerId,
    poolId: newId(),
    name: workerId,
    imageId: 'sha256:1',
    runtime: 'docker/runc',
    limits: { memoryMb: 512, diskMb: 256, cpus: 1, pids: 128 },
    at: new Date().toISOString(),
  };
  return {
    stream: 'worker',
    id: workerId,
    state: null,
    events: [{ type: 'WorkerRequested', data }],
  };
}

async function write() {
  for (let count = 0; count < Number(commits); count += 1) {
    const { events } = await database.store.commit({ streams: [requested(), requested()] });
    const line = {
      eventIds: events.map(({ metadata }) => metadata.eventId),
      positions: events.map(({ position }) => position),
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}

process.stdout.write('open\n');
await once(process.stdin, 'data');
process.stdin.destroy();
await Promise.all(Array.from({ length: Number(writers) }, write));
await database.close();
