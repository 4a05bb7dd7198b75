import { hash } from 'node:crypto';

/** What is kept of a token's secret: its SHA-256, in base64. */
export function secretHash(secret: string): string {
  return hash('sha256', secret, 'base64');
}
