/** The keys of payouts, against the vectors that every language shares; and what makes two requests differ. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { Sad, differences, payoutKey } from './payout.mjs';

const vectors = JSON.parse(readFileSync(new URL('../../../domain/vectors/keys.json', import.meta.url), 'utf8'));

test('every published vector derives its key or is refused', () => {
  assert.ok(vectors.length >= 40, 'the vectors are there');
  for (const { id, repeat = 1, key, why } of vectors) {
    if (key === null) assert.throws(() => payoutKey(id.repeat(repeat)), Sad, why);
    else assert.equal(payoutKey(id.repeat(repeat)), key, why);
  }
});

test('what is no text or no whole text has no key', () => {
  for (const id of [undefined, null, 7, 'a\ud800']) assert.throws(() => payoutKey(id), Sad);
});

test('requests differ by facts, not by spelling', () => {
  const one = { asset: { kind: 'Erc20', contract: '0xaB' }, amount: '1', program: null };
  assert.deepEqual(differences(one, { amount: '1', asset: { contract: '0xAb', kind: 'Erc20' } }), []);
  assert.deepEqual(differences(one, { ...one, amount: '2', program: 'payroll' }), ['amount', 'program']);
});
