/** Tests what the checker of chaos runs finds about the audit chain. */
import { expect, it } from 'vitest';
import { checkHistory } from '../../chaos/check/checkHistory.ts';
import type { RestRecord } from '../../chaos/history.ts';
import { soundHistory } from '../support/chaosHistory.ts';

const sound = soundHistory();
const { serving, down } = sound.rest.audit;
const found = (audit: Partial<RestRecord['audit']>) =>
  checkHistory({
    ...sound,
    rest: { ...sound.rest, audit: { ...sound.rest.audit, ...audit } },
  }).map(({ type, what }) => `${type}: ${what}`);

it('a finding of `cellhouse audit verify` is reported once', () => {
  const findings = ['Event 3 (SessionOpened) was changed.'];
  expect(found({ serving: { ...serving, findings }, down: { ...down, findings } })).toEqual([
    'lost: the audit: Event 3 (SessionOpened) was changed.',
  ]);
});

it('an event that was not compared is reported', () => {
  expect(found({ serving: { ...serving, events: serving.events - 1 } })).toEqual([
    `lost: the audit compared ${serving.events - 1} events of ${serving.events}`,
  ]);
});

it('unsealed events are reported while the gateways serve, but not after `cellhouse down`', () => {
  const unsealed = 2;
  expect(found({ serving: { ...serving, unsealed } })).toEqual([
    'lost: 2 events were not sealed at rest',
  ]);
  expect(found({ down: { ...down, unsealed } })).toEqual([]);
});
