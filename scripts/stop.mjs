/** `npm stop`: `cellhouse down`, after the part of the set-up that it needs. */
import { fileURLToPath } from 'node:url';
import { setUpCode } from './setup/setUp.mjs';
import { runScript } from './setup/setupError.mjs';

await runScript(async () => {
  await setUpCode();
  process.argv = [
    process.argv[0],
    fileURLToPath(new URL('../dist/cli.js', import.meta.url)),
    'down',
    ...process.argv.slice(2),
  ];
  await import('../dist/cli.js');
});
