/**
 * Writes `./docs/run/troubleshooting.md`, or with `--check` compares it, and exits with 1 if it differs:
 * `node dist/doctor/printTroubles.js [--check]`.
 */
import { writeOrCheck } from '../process/generatedFile.ts';
import { TROUBLES, type Trouble } from './troubles.ts';

const PAGE = 'docs/run/troubleshooting.md';

const HEAD = `# Troubleshooting

\`\`\`
npx cellhouse doctor
\`\`\`

Run it with the settings and as the user of the gateway, whether a gateway runs or not. It checks engine, image,
database, disks, memory, clock, limits, permissions, port, and the walls of a real worker, which it makes and removes.
Otherwise it changes nothing. Each line is \`ok\`, a \`warning\` or a \`FAILURE\` with what to do, in the words of the
tables below. \`unknown\` means that it could not be checked, and why. It ends within 60 s, whatever hangs. The exit code
is 0 if nothing failed, also with warnings, and otherwise 1. \`--json\` prints one object a line: \`check\`, \`state\`,
\`found\`, and for a trouble \`trouble\`, \`cause\` and \`cure\`.

\`npx cellhouse doctor --url https://code.example.com\` also checks the [proxy](proxy.md) in front: the name, WebSockets,
streams, the addresses of callers, uploads.

The log has details, in lines of level 50. In the tables, \`…\` is a part that differs. This page is made from
\`src/doctor/troubles.ts\`. To change it, change that, then run \`npm run troubles\`.
`;

const END = `## What heals by itself

Another gateway [replaces a dead one within 3 s](gateways.md#when-a-gateway-dies-or-hangs). Gateways reconnect to
PostgreSQL, and restart the embedded one. A dead worker or kernel is replaced. While the engine is away, code runs on if
the engine has \`live-restore\`; without it, sessions end. Output that cannot be stored waits in the worker. [The page of
all failures](../internals/failure-modes.md) says what users see of each, and which test shows it.
`;

const printed = [HEAD, ...Object.entries(TROUBLES).map(section), END].join('\n');

await writeOrCheck(PAGE, printed, 'npm run troubles');

function section([title, troubles]: [string, Readonly<Record<string, Trouble>>]): string {
  const rows = Object.values(troubles).map(row);
  const more = title === 'A call fails' ? '\n[Errors](../use/errors.md) lists every code.\n' : '';
  return `## ${title}

| message | cause | cure |
| --- | --- | --- |
${rows.join('\n')}
${more}`;
}

function row({ messages, cause, cure, check }: Trouble): string {
  const found = messages.map((message) => `\`${message}\``).join('<br>');
  return `| ${found}${check ? ` (check \`${check}\`)` : ''} | ${cause} | ${cure} |`;
}
