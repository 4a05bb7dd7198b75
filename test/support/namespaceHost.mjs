/**
 * Hosts in a network namespace: `node namespaceHost.mjs <JSON>`, where the JSON is a list of `{name, address, port}`.
 * Each answers over HTTP with its name, redirects `/to?URL`, accepts uploads, sends COUNT bytes for `/bytes?COUNT`, and
 * echoes all bytes after an upgrade. The program prints `listening`, and then a host's name for each connection to it.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';

const hosts = JSON.parse(process.argv[2] ?? '[]');
const BLOCK = Buffer.alloc(256 * 1024);

for (const { name, address, port } of hosts) {
  const server = createServer((req, res) => {
    const [path, query = ''] = (req.url ?? '').split('?');
    if (path === '/to') return res.writeHead(302, { location: decodeURIComponent(query) }).end();
    if (path === '/bytes') return send(res, Number(query));
    let got = 0;
    req.on('data', (chunk) => {
      got += chunk.length;
    });
    req.on('end', () => res.end(`I am ${name}, asked as ${req.headers.host}, got ${got}`));
  });
  server.on('upgrade', (_req, socket) => {
    socket.write('HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  server.on('connection', (socket) => {
    socket.on('error', () => undefined);
    console.log(name);
  });
  server.listen(port, address);
  await once(server, 'listening');
}
console.log('listening');

async function send(res, count) {
  for (let left = count; left > 0; left -= BLOCK.length) {
    const isDrained = res.write(BLOCK.subarray(0, Math.min(left, BLOCK.length)));
    if (!isDrained) await once(res, 'drain');
  }
  res.end();
}
