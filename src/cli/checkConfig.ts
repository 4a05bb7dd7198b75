import { loadConfig, SETTINGS } from '../config/config.ts';

/** `cellhouse config check`: prints everything that is in force; secrets only say whether they are set. */
export function checkConfig(): void {
  const config = loadConfig(process.env);
  const secrets = Object.entries(SETTINGS).flatMap(([field, { isSecret }]) =>
    isSecret ? field : [],
  );
  const shown = Object.entries(config).map(([field, value]) => [
    field,
    secrets.includes(field) && value !== null ? '(set, not shown)' : value,
  ]);
  console.log(JSON.stringify(Object.fromEntries(shown), null, 2));
}
