/** Makes wheels, the packages that pip installs, and serves them as an index does. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { crc32 } from 'node:zlib';

export interface WheelParts {
  readonly name: string;
  readonly version: string;
  /** The content of each file, by its name in the wheel. Names are not checked. */
  readonly files: Readonly<Record<string, string>>;
  /** Requirements on other packages, such as `words>=2`. */
  readonly requires?: readonly string[];
}

export interface Wheel {
  readonly name: string;
  readonly fileName: string;
  readonly bytes: Buffer;
}

const TAG = 'py3-none-any';

/** A wheel of pure Python. */
export function makeWheel({ name, version, files, requires = [] }: WheelParts): Wheel {
  const info = `${name}-${version}.dist-info`;
  const metadata = ['Metadata-Version: 2.1', `Name: ${name}`, `Version: ${version}`].concat(
    requires.map((requirement) => `Requires-Dist: ${requirement}`),
  );
  const wheel = ['Wheel-Version: 1.0', 'Generator: test', 'Root-Is-Purelib: true', `Tag: ${TAG}`];
  const content = {
    ...files,
    [`${info}/METADATA`]: `${metadata.join('\n')}\n`,
    [`${info}/WHEEL`]: `${wheel.join('\n')}\n`,
  };
  const record = Object.entries(content).map(([path, text]) => {
    const digest = createHash('sha256').update(text).digest('base64url');
    return `${path},sha256=${digest},${Buffer.byteLength(text)}`;
  });
  const all = { ...content, [`${info}/RECORD`]: `${record.join('\n')}\n${info}/RECORD,,\n` };
  return { name, fileName: `${name}-${version}-${TAG}.whl`, bytes: zipOf(all) };
}

/** A zip archive of these files, which are not compressed. */
function zipOf(files: Readonly<Record<string, string>>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [path, text] of Object.entries(files)) {
    const [name, data] = [Buffer.from(path), Buffer.from(text)];
    // The fields that a file's local header and its entry in the central directory share.
    const about = Buffer.alloc(26);
    about.writeUInt16LE(20, 0);
    // 1980-01-01, the earliest date in this format.
    about.writeUInt16LE(0x21, 8);
    about.writeUInt32LE(crc32(data), 10);
    about.writeUInt32LE(data.length, 14);
    about.writeUInt32LE(data.length, 18);
    about.writeUInt16LE(name.length, 22);
    const place = Buffer.alloc(14);
    // An ordinary file, which all may read.
    place.writeUInt32LE(0o100644 * 0x10000, 6);
    place.writeUInt32LE(offset, 10);
    parts.push(Buffer.from('PK\x03\x04'), about, name, data);
    directory.push(Buffer.from('PK\x01\x02\x14\x03', 'latin1'), about, place, name);
    offset += 4 + about.length + name.length + data.length;
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  const count = Object.keys(files).length;
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

export interface Index {
  readonly port: number;
  /** The paths that were asked for, in order. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

/** Serves these wheels on an address of this machine, at `/simple/`. */
export async function serveIndex(wheels: readonly Wheel[], host = '127.0.0.1'): Promise<Index> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    answer(wheels, request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The index has no port');
  return { port: address.port, asked, close: () => closeServer(server) };
}

function answer(wheels: readonly Wheel[], { url = '' }: IncomingMessage, to: ServerResponse): void {
  const [, root, name, ...rest] = url.split('/');
  const wheel = wheels.find(({ fileName }) => root === 'wheels' && fileName === name);
  if (wheel) {
    to.end(wheel.bytes);
    return;
  }
  const found = wheels.filter((one) => normalized(one.name) === name);
  if (root !== 'simple' || found.length === 0 || rest.join('') !== '') {
    to.writeHead(404).end();
    return;
  }
  const links = found.map(({ fileName }) => `<a href="/wheels/${fileName}">${fileName}</a>`);
  to.setHeader('content-type', 'text/html');
  to.end(`<!DOCTYPE html><html><body>${links.join('\n')}</body></html>`);
}

/** The normalized name of a package, as pip puts it into the URL. */
function normalized(name: string): string {
  return name.replace(/[-_.]+/g, '-').toLowerCase();
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
