/**
 * E2B's own SDK, unmodified, in two installs: with the `e2b` of today and with the one before, which calls other paths.
 * package.json pins both. They know Cellhouse by three variables of the environment alone.
 */
import { createRequire } from 'node:module';
import * as today from '@e2b/code-interpreter';
import * as before from '@e2b/code-interpreter-before';
import type { TestGateway } from '../../../testkit/gateway.ts';

export type E2bSdk = typeof today;
export type Sandbox = InstanceType<E2bSdk['Sandbox']>;

export interface InstalledSdk {
  readonly name: string;
  readonly sdk: E2bSdk;
}

/** The same classes at run time, but private members make TypeScript take them for others. */
export const E2B_SDKS: readonly InstalledSdk[] = [
  { name: nameOf('@e2b/code-interpreter'), sdk: today },
  { name: nameOf('@e2b/code-interpreter-before'), sdk: before as unknown as E2bSdk },
];

/** Both packages, with the versions that Node finds from here. */
function nameOf(install: string): string {
  const fromHere = createRequire(import.meta.url);
  const fromInstall = createRequire(fromHere.resolve(install));
  const versionBy = (require: NodeJS.Require, name: string) =>
    (require(`${name}/package.json`) as { readonly version: string }).version;
  return `@e2b/code-interpreter ${versionBy(fromHere, install)} with e2b ${versionBy(fromInstall, 'e2b')}`;
}

/** The two URLs for a client that is to use this gateway, and not the one of the variables. */
export function atGateway({ url }: Pick<TestGateway, 'url'>) {
  return { apiUrl: `${url}/e2b`, sandboxUrl: `${url}/e2b` };
}

/** What a user of the SDK sets, and nothing else of E2B's. */
export function setVariables({ url }: Pick<TestGateway, 'url'>, key: string): void {
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('E2B_')) delete process.env[name];
  }
  const { apiUrl, sandboxUrl } = atGateway({ url });
  Object.assign(process.env, {
    E2B_API_KEY: key,
    E2B_API_URL: apiUrl,
    E2B_SANDBOX_URL: sandboxUrl,
  });
}
