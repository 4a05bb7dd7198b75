/** Files of a session while gateways die, sleep and wake. */
import { createHash, randomBytes } from 'node:crypto';
import { PassThrough, type Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import { execute, poolStatus, release } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { askFiles, refusalIn } from '../support/fileClient.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';
import { stopForNow } from '../support/stopForNow.ts';

const MIB = 1_048_576;
/** Longer than a lease, so that another gateway takes over meanwhile. */
const ASLEEP_MS = 4_000;

let installation: TestInstallation;
let gateways: TestGateway[];
beforeAll(async () => {
  installation = await createInstallation();
  gateways = [await installation.start(), await installation.start()];
});
afterAll(() => installation.destroy());

/** Each test begins with two live gateways, and its own user with a session. */
let user: string;
let path: string;
let holder: TestGateway;
let other: TestGateway;
beforeEach(async ({ task }) => {
  user = task.name;
  path = `${encodeURIComponent(user)}/kept`;
  await execute(gateways[0] ?? holder, user, 'import os');
  holder = await installation.holderOfUser(user);
  other = gateways.find((gateway) => gateway !== holder) ?? holder;
});

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const put = (gateway: TestGateway, body: Buffer | string | Readable) =>
  askFiles(gateway, { method: 'PUT', path, body });
const get = (gateway: TestGateway) => askFiles(gateway, { method: 'GET', path });
/** An upload of which only the beginning is sent until `rest` is called. */
function slowUpload(bytes: Buffer): { readonly body: Readable; rest(): void } {
  const body = new PassThrough();
  body.write(bytes.subarray(0, 2 * MIB));
  return { body, rest: () => void body.end(bytes.subarray(2 * MIB)) };
}
const hasPart = async (gateway: TestGateway) => {
  const { stdout } = await execute(
    gateway,
    user,
    'print(any(".cellhouse-part" in n for n in os.listdir()))',
  );
  return stdout.trim() === 'True';
};
const outcomes = async () => {
  const rows = await installation.sql<{ outcome: string }[]>`
    SELECT outcome FROM audit.files WHERE source = 'api' AND user_uuid = ${user}
    ORDER BY first_position`;
  return rows.map(({ outcome }) => outcome);
};

describe('a gateway that does not hold the worker', () => {
  it('reads and writes its files, even while the gateway that holds it is killed', async () => {
    const bytes = randomBytes(8 * MIB);
    const { body, rest } = slowUpload(bytes);
    const answer = put(other, body);
    await until('the bytes arrive in the worker', () => hasPart(other));
    await holder.kill('SIGKILL');
    const small = `${encodeURIComponent(user)}/small`;
    for (let count = 0; count < 20; count += 1) {
      const written = await askFiles(other, { method: 'PUT', path: small, body: String(count) });
      expect(written.status).toBe(count === 0 ? 201 : 200);
      const read = await askFiles(other, { method: 'GET', path: small });
      expect(read.body.toString()).toBe(String(count));
    }
    rest();
    expect(JSON.parse((await answer).body.toString())).toMatchObject({ sha256: sha256(bytes) });
    expect(sha256((await get(other)).body)).toBe(sha256(bytes));
    const code = 'import hashlib; print(hashlib.sha256(open("kept","rb").read()).hexdigest())';
    expect((await execute(other, user, code)).stdout.trim()).toBe(sha256(bytes));
    await holder.restart();
    expect(sha256((await get(holder)).body)).toBe(sha256(bytes));
    expect(new Set(await outcomes())).toEqual(new Set(['WRITTEN']));
  });
});

describe('kill -9 of a gateway', () => {
  it('in the middle of an upload leaves the old file, and the outcome is recorded as UNKNOWN', async () => {
    await put(holder, 'old');
    const { body } = slowUpload(randomBytes(8 * MIB));
    const broken = put(holder, body).catch((error: Error) => error);
    await until('the bytes arrive in the worker', () => hasPart(other));
    await holder.kill('SIGKILL');
    expect(await broken).toBeInstanceOf(Error);
    await until('the part is gone', async () => !(await hasPart(other)));
    expect((await get(other)).body.toString()).toBe('old');
    expect(await outcomes()).toEqual(['WRITTEN', 'UNKNOWN']);
    await holder.restart();
  });

  it('at any moment of many small uploads leaves the old file or the new one, whole', async () => {
    const versions = [randomBytes(200_000), randomBytes(300_000)];
    const hashes = versions.map(sha256);
    await put(other, versions[0] ?? '');
    let isOver = false;
    const writing = (async () => {
      for (let count = 1; !isOver; count += 1) {
        const answer = await put(holder, versions[count % 2] ?? '').catch(() => null);
        if (answer === null) return;
      }
    })();
    for (let count = 0; count < 30; count += 1) {
      if (count === 10) await holder.kill('SIGKILL');
      expect(hashes).toContain(sha256((await get(other)).body));
    }
    isOver = true;
    await writing;
    expect(hashes).toContain(sha256((await get(other)).body));
    await holder.restart();
  });
});

describe('a gateway that was paused', () => {
  it('cannot write into the session that the user has got meanwhile', async () => {
    await put(holder, 'old');
    const { body, rest } = slowUpload(randomBytes(8 * MIB));
    const late = put(holder, body);
    await until('the bytes arrive in the worker', () => hasPart(other));
    stopForNow(holder);
    const asleepSince = performance.now();
    expect(await release(other, user)).toBe(true);
    await execute(other, user, 'import os');
    await until(
      'another gateway has taken over',
      async () => performance.now() - asleepSince > ASLEEP_MS,
    );
    process.kill(holder.pid, 'SIGCONT');
    rest();
    const refused = await late;
    expect([refused.status, refusalIn(refused).code]).toEqual([404, 'NOT_FOUND']);
    expect((await get(other)).status).toBe(404);

    // From now on, the woken gateway writes into the new session.
    await until('the woken gateway to answer', async () => await poolStatus(holder));
    expect((await put(holder, 'new')).status).toBe(201);
    const { stdout } = await execute(other, user, 'print(open("kept").read(), os.listdir())');
    expect(stdout).toContain("new ['");
    expect(stdout).not.toContain('part');
  });
});
