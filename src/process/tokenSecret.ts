/** The only place where the secrets of tokens are made. */
import { randomBytes } from 'node:crypto';

/** Makes a secret that nobody can guess. It is injected wherever secrets are made. */
export type NewSecret = () => string;

const SECRET_BYTES = 32;

/** The production {@link NewSecret}: `ch_` and 43 characters that need no quoting anywhere. */
export const newSecret: NewSecret = () => `ch_${randomBytes(SECRET_BYTES).toString('base64url')}`;
