import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { agentEnvironment } from '../../src/pool/supply/makeWorker.ts';

const ofSettings = (env: Record<string, string>) => agentEnvironment(loadConfig(env, 0));
const PIP_INDEX_URL = 'https://pypi.example.org/simple';

describe('the settings of an agent', () => {
  it('have nothing of egress unless a host is allowed', () => {
    const always = {
      CELLHOUSE_ORPHAN_TIMEOUT_MS: '900000',
      CELLHOUSE_REPLAY_BUFFER_BYTES: '33554432',
      CELLHOUSE_CPUS: '1',
    };
    expect(ofSettings({})).toEqual(always);
    expect(ofSettings({ PIP_INDEX_URL })).toEqual(always);
    const EGRESS_ALLOW = 'pypi.example.org';
    expect(ofSettings({ EGRESS_ALLOW })).toEqual({ ...always, CELLHOUSE_EGRESS: 'on' });
    expect(ofSettings({ EGRESS_ALLOW, PIP_INDEX_URL })).toEqual({
      ...always,
      CELLHOUSE_EGRESS: 'on',
      PIP_INDEX_URL,
    });
  });
});
