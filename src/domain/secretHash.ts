import { hash } from 'node:crypto';

/** The form in which a token's secret is stored: its SHA-256, in base64. */
export function secretHash(secret: string): string {
  return hash('sha256', secret, 'base64');
}
