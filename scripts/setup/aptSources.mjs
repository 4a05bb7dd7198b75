import { findProgram } from './findProgram.mjs';
import { runCommand } from './runCommand.mjs';

/**
 * The Debian mirrors that this machine uses, else the public ones. Images that are built here can reach whatever this
 * machine reaches.
 * @returns {Promise<{ main: string, security: string }>}
 */
export async function debianMirrors() {
  return {
    main: (await machineMirror('Debian')) ?? 'http://deb.debian.org/debian',
    security: (await machineMirror('Debian-Security')) ?? 'http://deb.debian.org/debian-security',
  };
}

/** The URL of the repository with that label in apt's sources. Null if there is none that an image could use too. */
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

/** Whether the URL is reached over the network and contains no password, which would end up in the image. */
function isPublic(address) {
  if (!URL.canParse(address)) return false;
  const { protocol, username } = new URL(address);
  return (protocol === 'http:' || protocol === 'https:') && username === '';
}

/** The content of an image's `/etc/apt/sources.list.d/debian.sources`, including security updates. */
export function sourcesFile(suite, mirrors) {
  const keyring = 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg';
  const stanza = (uri, suites) =>
    `Types: deb\nURIs: ${uri}\nSuites: ${suites}\nComponents: main\n${keyring}\n`;
  return [
    stanza(mirrors.main, `${suite} ${suite}-updates`),
    stanza(mirrors.security, `${suite}-security`),
  ].join('\n');
}
