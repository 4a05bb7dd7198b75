import { describe, expect, it } from 'vitest';
import { findRoute } from '../../src/doors/shared/findRoute.ts';

const ROUTES = [
  { path: /^\/kernels\/last$/, methods: { GET: 'last' } },
  { path: /^\/kernels(?:\/(.*))?$/, methods: { GET: 'get', DELETE: 'end' } },
];
const at = (method: string, path: string) => findRoute(ROUTES, { method, path });

describe('a route', () => {
  it('is the first that has the path, with the decoded id', () => {
    expect(at('GET', '/kernels/last')).toEqual({ type: 'served', serve: 'last', id: '' });
    expect(at('GET', '/kernels')).toEqual({ type: 'served', serve: 'get', id: '' });
    expect(at('DELETE', '/kernels/a%20b')).toEqual({ type: 'served', serve: 'end', id: 'a b' });
  });

  it('keeps an id that cannot be decoded, because nothing has such an id', () => {
    expect(at('GET', '/kernels/100%')).toMatchObject({ id: '100%' });
  });

  it('lists the methods of its path, and then no later route is tried', () => {
    expect(at('POST', '/kernels/last')).toEqual({ type: 'other-methods', allowed: ['GET'] });
    expect(at('POST', '/kernels/a')).toEqual({ type: 'other-methods', allowed: ['GET', 'DELETE'] });
    expect(at('constructor', '/kernels/last')).toMatchObject({ type: 'other-methods' });
  });

  it('is null for a path that no route has', () => {
    expect(at('GET', '/sessions')).toBeNull();
  });
});
