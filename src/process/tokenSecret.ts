/** The only place where the secrets of tokens are made. */
import { randomBytes } from 'node:crypto';

/** Makes a secret that nobody can guess. It is injected wherever secrets are made. */
export type NewSecret = () => string;

const SECRET_BYTES = 32;
/** Clients of E2B accept no other length. 160 random bits cannot be guessed either. */
const E2B_SECRET_BYTES = 20;

/** The production {@link NewSecret}: `ch_` and 43 characters that need no quoting anywhere. */
export const newSecret: NewSecret = () => `ch_${randomBytes(SECRET_BYTES).toString('base64url')}`;

/** A secret as clients of E2B want it: `e2b_` and 40 hexadecimal digits. */
export const newE2bSecret: NewSecret = () => `e2b_${randomBytes(E2B_SECRET_BYTES).toString('hex')}`;
