/** Makes everything that `npm start` needs, and ends: `node scripts/setup.mjs`. */
import { setUp } from './setup/setUp.mjs';
import { runScript } from './setup/setupError.mjs';

await runScript(async () => {
  const { workerImage } = await setUp();
  console.log(`Ready to start. Worker image: ${workerImage}`);
});
