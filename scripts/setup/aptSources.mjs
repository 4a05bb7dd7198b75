import { findProgram } from './findProgram.mjs';
import { runCommand } from './runCommand.mjs';

/**
 * Where this machine gets Debian from, else where everyone can: what it reaches, the images made on it reach.
 * @returns {Promise<{ main: string, security: string }>}
 */
export async function debianMirrors() {
  return {
    main: (await machineMirror('Debian')) ?? 'http://deb.debian.org/debian',
    security: (await machineMirror('Debian-Security')) ?? 'http://deb.debian.org/debian-security',
  };
}

/** The repository of that label in apt's own sources; null if it has none that others can use as well. */
async function machineMirror(label) {
  if (findProgram('apt-get') === null) return null;
  const lines = await runCommand('apt-get', [
    'indextargets',
    '--format',
    '$(LABEL) $(REPO_URI)',
    'Created-By: Packages',
  ]);
  for (const line of lines.split('\n')) {
    const [found, address = ''] = line.split(' ');
    if (found === label && isPublic(address)) return address.replace(/\/$/, '');
  }
  return null;
}

/** Fetched over the network, and with no password in it, which would end up in the image. */
function isPublic(address) {
  if (!URL.canParse(address)) return false;
  const { protocol, username } = new URL(address);
  return (protocol === 'http:' || protocol === 'https:') && username === '';
}

/** The file `/etc/apt/sources.list.d/debian.sources` of an image, security updates included. */
export function sourcesFile(suite, mirrors) {
  const keyring = 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg';
  const stanza = (uri, suites) =>
    `Types: deb\nURIs: ${uri}\nSuites: ${suites}\nComponents: main\n${keyring}\n`;
  return [
    stanza(mirrors.main, `${suite} ${suite}-updates`),
    stanza(mirrors.security, `${suite}-security`),
  ].join('\n');
}
