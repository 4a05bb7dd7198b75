/** `node scripts/setup.mjs`: installs and builds everything that `npm start` needs, without starting. */
import { setUp } from './setup/setUp.mjs';
import { runScript } from './setup/setupError.mjs';

await runScript(async () => {
  const { workerImage } = await setUp();
  console.log(`Ready to start. Worker image: ${workerImage}`);
});
