/** Makes wheels, the packages that pip installs. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export interface WheelParts {
  readonly name: string;
  readonly version: string;
  /** The content of each file, by its name in the wheel, which may be anything. */
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
    // What the entry and the directory say of a file alike: from the version that reads it to the length of its name.
    const about = Buffer.alloc(26);
    about.writeUInt16LE(20, 0);
    // The first day that the format can name.
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
