import { fileURLToPath } from 'node:url';

/** The checkout (or the folder of the installed package) that these scripts belong to. */
export const projectRoot = fileURLToPath(new URL('../..', import.meta.url));
