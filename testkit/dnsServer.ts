/** A DNS server on loopback whose answers the test determines. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const TYPES: Readonly<Record<number, 'A' | 'AAAA'>> = { 1: 'A', 28: 'AAAA' };
const HEADER_BYTES = 12;
const NO_SUCH_NAME = 3;

export interface DnsServer {
  /** In the format of EGRESS_DNS. */
  readonly address: string;
  /** The names in the questions of type A, in order. A client that also asks for type AAAA adds no second entry. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

/**
 * @param answer returns the addresses of a name, of both families. An empty list: the name does not exist. Null: the
 * server does not answer. The function is called for each question, so it may return other addresses each time
 */
export async function startDnsServer(
  answer: (name: string, type: 'A' | 'AAAA') => readonly string[] | null,
  host = '127.0.0.1',
): Promise<DnsServer> {
  const socket = createSocket('udp4');
  const asked: string[] = [];
  socket.on('message', (question, { port, address }) => {
    const { name, type, end } = readQuestion(question);
    if (type === 'A') asked.push(name);
    const found = type === undefined ? [] : answer(name, type);
    if (found === null) return;
    const records = found.filter((each) => each.includes(':') === (type === 'AAAA'));
    socket.send(answerTo(question.subarray(0, end), found.length > 0, records), port, address);
  });
  socket.bind(0, host);
  await once(socket, 'listening');
  return {
    address: `${host}:${socket.address().port}`,
    asked,
    close: async () => {
      socket.close();
      await once(socket, 'close');
    },
  };
}

function readQuestion(message: Buffer) {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = TYPES[message.readUInt16BE(at + 1)];
  return { name: labels.join('.').toLowerCase(), type, end: at + 5 };
}

function answerTo(question: Buffer, exists: boolean, addresses: readonly string[]): Buffer {
  const header = Buffer.from(question);
  header.writeUInt16BE(0x8180 | (exists ? 0 : NO_SUCH_NAME), 2);
  header.writeUInt16BE(addresses.length, 6);
  header.writeUInt32BE(0, 8);
  return Buffer.concat([header, ...addresses.map(record)]);
}

/** A resource record for the name in the question. Its TTL is 0, so that nobody caches it. */
function record(address: string): Buffer {
  const isFour = !address.includes(':');
  const data = isFour ? address.split('.').map(Number) : bytesOf(address);
  return Buffer.from([0xc0, 0x0c, 0, isFour ? 1 : 28, 0, 1, 0, 0, 0, 0, 0, data.length, ...data]);
}

function bytesOf(address: string): number[] {
  const [head = '', tail = ''] = address.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const [first, last] = [groups(head), groups(tail)];
  const zeros = address.includes('::')
    ? Array<string>(8 - first.length - last.length).fill('0')
    : [];
  return [...first, ...zeros, ...last].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
