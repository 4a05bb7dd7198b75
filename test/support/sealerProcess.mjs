/**
 * Seals small pages one after the other, in a process of its own on the built code, until it is killed:
 * `node sealerProcess.mjs <address>`. It prints a line for each page that had events.
 */
import { pino } from 'pino';
import { openDatabase } from '../../dist/events/openDatabase.js';
import { newId } from '../../dist/process/newId.js';

const [address] = process.argv.slice(2);
const logger = pino({ level: 'silent' });
const gatewayId = newId();
const database = await openDatabase(JSON.parse(address ?? ''), { gatewayId, logger, newId });
for (;;) {
  if ((await database.queries.sealEvents(gatewayId, 5)) > 0) process.stdout.write('sealed\n');
}
