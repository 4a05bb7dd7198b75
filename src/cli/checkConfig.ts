import { loadConfig } from '../config/config.ts';

/** `cellhouse config check`: prints everything that is in force; secrets only say whether they are set. */
export function checkConfig(): void {
  const config = loadConfig(process.env);
  const secret = (value: string | null) => (value === null ? null : '(set, not shown)');
  const shown = {
    ...config,
    authToken: secret(config.authToken),
    databaseUrl: secret(config.databaseUrl),
  };
  console.log(JSON.stringify(shown, null, 2));
}
