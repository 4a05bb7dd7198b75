/** What a release says: its notes, and the Compose file and settings that name its images. */
import { SetupError } from '../setup/setupError.mjs';

/**
 * The notes of a version: what CHANGELOG.md says of it, and how to check the files.
 * @param {{ changelog: string, version: string }} given
 * @throws SetupError if CHANGELOG.md says nothing of the version
 */
export function releaseNotes({ changelog, version }) {
  const sections = changelog.split(/^## /m).slice(1);
  const section = sections.find((text) => text.startsWith(`[${version}]`));
  const text = section?.split('\n').slice(1).join('\n').trim() ?? '';
  if (text === '') {
    throw new SetupError(
      `CHANGELOG.md says nothing of ${version}, which package.json names. Make the heading that says "Unreleased" "## [${version}] - <date>".`,
    );
  }
  return `# Cellhouse ${version}

${text}

## Files

The images are for x64, and are the same programs as in the npm package. Check the files before you use them, in their
folder: \`sha256sum --check SHA256SUMS\`.

| file | use |
| --- | --- |
| \`cellhouse-${version}.tgz\` | \`npm install -g ./cellhouse-${version}.tgz && cellhouse start\` |
| \`cellhouse-gateway-${version}.tar.gz\`, \`cellhouse-worker-${version}.tar.gz\` | images for \`docker load --input\` |
| \`docker-compose.yml\`, \`.env\` | \`docker compose up\` with these images |
| \`*.cdx.json\` | what is in each artefact (CycloneDX) |
| \`THIRD_PARTY_NOTICES.txt\` | licences of the packages inside the program |
`;
}

const BUILT = '    build: .\n    image: cellhouse-gateway\n';
// biome-ignore lint/suspicious/noTemplateCurlyInString: Compose replaces it
const LOADED = '    image: ${GATEWAY_IMAGE:?is in the file .env of the release}\n';

/**
 * The Compose file of a clone, with an image that was loaded in place of one that is built.
 * @param {string} composeFile @throws SetupError if it does not build the gateway as expected
 */
export function composeFileOf(composeFile) {
  if (composeFile.split(BUILT).length !== 2)
    throw new SetupError('docker-compose.yml does not say how the gateway is built.');
  return composeFile.replace(BUILT, () => LOADED);
}

/** The settings beside that Compose file. */
export function dotEnvOf(version) {
  return `# The images of Cellhouse ${version}. Settings may follow: see docs/run/settings.md.
GATEWAY_IMAGE=cellhouse-gateway:${version}
WORKER_IMAGE=cellhouse-worker:${version}
`;
}
