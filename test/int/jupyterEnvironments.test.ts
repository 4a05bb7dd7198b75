/** Kernels of environments over Jupyter's REST API, at a real gateway. The workers are programmed. */
import { afterEach, describe, expect, it } from 'vitest';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { builtEnvironment, removeEnvironment } from '../support/environments.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const { db, start } = await useServiceGateways({ MIN_IDLE_WORKERS: '2' });
const gateway = await start();
const builder = await db.open();
const { port } = await gateway.server.listen();
const { service } = gateway;
const [science] = [
  await builtEnvironment(builder, 'science'),
  await builtEnvironment(builder, 'art'),
  // An environment of this name is not shown, because clients use the name for the usual kernel.
  await builtEnvironment(builder, 'python3'),
];
const whole = await secretOf({});
const anns = await secretOf({ userUuid: 'ann', role: 'USER' });
afterEach(async () => {
  for (const { userUuid } of await db.queries.openSessions())
    await service.release(AUTH_TOKEN_HOLDER, userUuid);
});

async function secretOf(of: { readonly userUuid?: string; readonly role?: 'USER' | 'TENANT' }) {
  const input = {
    name: 'jupyter',
    door: 'jupyter',
    tenant: 'default',
    role: 'TENANT',
    ...of,
  } as const;
  return (await service.createToken(AUTH_TOKEN_HOLDER, input)).secret;
}

async function ask(token: string, method: string, path: string, body?: unknown) {
  const response = await fetch(`http://127.0.0.1:${port}/jupyter/api${path}`, {
    method,
    headers: { Authorization: `token ${token}`, 'Content-Type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? null : JSON.parse(text) };
}

describe('kernel specs', () => {
  it('are the usual one, and each environment that is ready', async () => {
    const gone = await builtEnvironment(builder, 'gone');
    await removeEnvironment(builder, gone);
    const { body } = await ask(anns, 'GET', '/kernelspecs');
    expect(body.default).toBe('python3');
    expect(Object.keys(body.kernelspecs)).toEqual(['python3', 'art', 'science']);
    expect(body.kernelspecs.science.spec.display_name).toBe('science (Cellhouse)');
    expect(await ask(anns, 'GET', '/kernelspecs/science')).toMatchObject({
      status: 200,
      body: { name: 'science', spec: { language: 'python' } },
    });
    expect((await ask(anns, 'GET', '/kernelspecs/gone')).status).toBe(404);
  });

  it('that are unknown are refused as a Jupyter server refuses them, in every request that names one', async () => {
    const message = (name: string) =>
      `The '${name}' kernel is not available. Please pick another suitable kernel instead: python3, art, science.`;
    const refusal = (name: string) => ({
      status: 501,
      body: { message: message(name), short_message: `${name} not found` },
    });
    const kernel = { name: 'gone' };
    const notebook = { path: 'b.ipynb', type: 'notebook', kernel };
    expect(await ask(anns, 'POST', '/kernels', kernel)).toEqual(refusal('gone'));
    expect(await ask(anns, 'POST', '/kernels', { name: 'x'.repeat(1_000) })).toEqual(
      refusal(`${'x'.repeat(64)}...`),
    );
    expect(await ask(anns, 'POST', '/sessions', notebook)).toEqual(refusal('gone'));
    expect((await ask(anns, 'GET', '/sessions')).body).toEqual([]);
    expect((await ask(anns, 'PATCH', '/sessions/none', { kernel })).status).toBe(404);

    const made = await ask(anns, 'POST', '/sessions', { ...notebook, kernel: {} });
    expect(made.status).toBe(201);
    const { id } = made.body;
    expect(await ask(anns, 'PATCH', `/sessions/${id}`, { kernel })).toEqual(refusal('gone'));
    const open = await ask(anns, 'POST', '/sessions', notebook);
    expect(open).toMatchObject({ status: 201, body: { id } });
  });
});

describe('a kernel that is started with the name of an environment', () => {
  it('has a session of its own in that environment, with a token for many users', async () => {
    const made = await ask(whole, 'POST', '/kernels', { name: 'science' });
    expect(made).toMatchObject({ status: 201, body: { name: 'science' } });
    const plain = await ask(whole, 'POST', '/kernels', { name: 'python3' });
    expect(plain).toMatchObject({ status: 201, body: { name: 'python3' } });
    const session = await db.queries.session(made.body.id);
    const worker = session && (await db.queries.worker(session.workerId));
    expect(worker?.environmentId).toBe(science.id);
    const { body: kernels } = await ask(whole, 'GET', '/kernels');
    expect(kernels.map(({ name }: { name: string }) => name).sort()).toEqual([
      'python3',
      'science',
    ]);
  });

  it('opens the session of a single user in that environment, which all kernels of the session then use', async () => {
    const notebook = { path: 'a.ipynb', type: 'notebook', kernel: { name: 'science' } };
    const made = await ask(anns, 'POST', '/sessions', notebook);
    expect(made).toMatchObject({ status: 201, body: { kernel: { name: 'science' } } });
    expect(await service.session(AUTH_TOKEN_HOLDER, 'ann')).toMatchObject({
      environment: 'science',
    });
    const usual = await ask(anns, 'POST', '/kernels', { name: 'python3' });
    expect(usual).toMatchObject({ status: 201, body: { name: 'science' } });
    expect((await ask(anns, 'POST', '/kernels')).body.name).toBe('science');
    const other = await ask(anns, 'POST', '/kernels', { name: 'art' });
    expect([other.status, other.body.message]).toEqual([
      409,
      "Every kernel of this user's open session uses the environment science. Release the session first, or choose a kernel that uses the environment science.",
    ]);
    const { id } = made.body;
    const changed = await ask(anns, 'PATCH', `/sessions/${id}`, { kernel: { name: 'art' } });
    expect(changed.status).toBe(409);
  });

  it('is refused in an open session without an environment', async () => {
    await ask(anns, 'POST', '/kernels', { name: 'python3' });
    const other = await ask(anns, 'POST', '/kernels', { name: 'science' });
    expect([other.status, other.body.message]).toEqual([
      409,
      expect.stringContaining('uses no environment'),
    ]);
  });

  it('need not use the environment of the user’s last session if that session has ended by itself', async () => {
    await ask(anns, 'POST', '/kernels', { name: 'science' });
    const session = await db.queries.openSession('default', 'ann');
    if (session === null) throw new Error('There is no session.');
    await gateway.pool.closeSession(session, 'idle', {
      token: 'none',
      role: 'OPERATOR',
      tenant: 'default',
      door: 'cli',
    });
    const usual = await ask(anns, 'POST', '/kernels', { name: 'python3' });
    expect(usual).toMatchObject({ status: 201, body: { name: 'python3' } });
  });
});
