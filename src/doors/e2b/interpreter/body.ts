/** Parts of the bodies of requests. The Python client sends null for what it leaves out. */
import { z } from 'zod';

/** What FastAPI says. */
export const NO_TEXT = 'Input should be a valid string';
export const NO_OBJECT = 'The body should be a JSON object';

/** Null: it is absent, null, or empty. */
export const TEXT = z
  .string(NO_TEXT)
  .nullish()
  .transform((text) => text || null);
