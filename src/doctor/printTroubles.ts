/**
 * Writes `./docs/run/troubleshooting.md`, or with `--check` compares it, and exits with 1 if it differs:
 * `node dist/doctor/printTroubles.js [--check]`.
 */
import { writeOrCheck } from '../process/generatedFile.ts';
import { TROUBLES, type Trouble } from './troubles.ts';

const PAGE = 'docs/run/troubleshooting.md';

const HEAD = `# Troubleshooting

\`\`\`sh
npx cellhouse doctor
\`\`\`

Run it with the settings and as the user of the gateway, whether a gateway runs or not. It checks engine, image,
database, disks, memory, clock, limits, permissions, port, and the walls of a worker that it makes and removes. It
changes nothing else, and ends within 60 s. Each line is \`ok\`, \`unknown\` (it could not be checked), a \`warning\`, or
a \`FAILURE\`, which gives exit code 1. \`--json\` prints one object a line: \`check\`, \`state\`, \`found\`, and for a
trouble \`trouble\`, \`cause\` and \`cure\`.

\`npx cellhouse doctor --url https://code.example.com\` also checks the [proxy](proxy.md) in front.

In the tables, which are made from \`src/doctor/troubles.ts\` by \`npm run troubles\`, \`…\` is a part that differs.
`;

const END = `## What heals by itself

Another gateway [replaces a dead one within 3 s](gateways.md#when-a-gateway-dies-or-hangs). Gateways reconnect to
PostgreSQL, and restart the embedded one. A dead worker or kernel is replaced. While the engine is away, code runs on if
the engine has \`live-restore\`; without it, sessions end. Output that cannot be stored waits in the worker. [All
failures](../internals/failure-modes.md).
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
