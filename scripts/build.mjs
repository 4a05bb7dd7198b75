/** `npm run build`: compiles `src/` to `dist/` if it has changed. */
import { setUpCode } from './setup/setUp.mjs';
import { runScript } from './setup/setupError.mjs';

await runScript(setUpCode);
