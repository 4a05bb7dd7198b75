/** Makes the part of `docker-compose.yml` that passes settings on to the gateway, for `npm run settings`. */
import { SETTINGS } from './config.ts';

type Field = keyof typeof SETTINGS;

/**
 * The settings that Compose does not pass on, each with what Compose does instead. These settings are about the
 * container.
 */
export const SET_BY_COMPOSE: Readonly<Partial<Record<Field, string>>> = {
  host: 'The gateway listens on every address of its container.',
  port: 'It is the port on this machine, on loopback. In the container, the port is always 3874.',
  dataDir: 'It is the volume `gateway`.',
  databaseUrl: 'It leads to the container `postgres`, with the password in `POSTGRES_PASSWORD`.',
  dockerSocketPath:
    'The socket of the engine is mounted; `DOCKER_SOCKET` says where it is on this machine.',
  socketDir:
    'It is a folder of this machine, mounted under the same path. The default is `/run/cellhouse`.',
};

const BEGIN =
  '      # Passes on each setting of the environment or of `.env`. This list is made by `npm run settings`.';
const END = '      # Settings that Compose sets itself.';

/**
 * `docker-compose.yml` with a list of the given settings (by default all), except those in {@link SET_BY_COMPOSE}.
 * @throws Error if the file does not have the two comments around the list
 */
export function withSettings(
  composeFile: string,
  settings: Readonly<Record<string, { readonly name: string }>> = SETTINGS,
): string {
  const [before, rest] = composeFile.split(`${BEGIN}\n`);
  const after = rest?.split(`${END}\n`)[1];
  if (after === undefined)
    throw new Error('docker-compose.yml does not say where its list begins and ends.');
  const passed = Object.entries(settings).filter(([field]) => !(field in SET_BY_COMPOSE));
  const lines = passed.map(([, { name }]) => `      ${name}:\n`);
  return [before, `${BEGIN}\n`, ...lines, `${END}\n`, after].join('');
}
