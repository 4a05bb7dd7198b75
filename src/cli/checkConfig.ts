import { loadConfig, SETTINGS } from '../config/config.ts';

/** `cellhouse config check`: prints the settings in force. For a secret, it only shows whether the setting is set. */
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
