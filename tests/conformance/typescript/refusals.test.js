// What the official TypeScript SDK sees when a call is refused: tokens, permissions, bodies, budgets.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anOrganisation, refusedWith } from './organisation.js'
import { aPayout } from './payouts.js'

test('an unknown token is refused with the documented error body', async () => {
  const organisation = await anOrganisation()
  const stranger = organisation.as('payer', { token: 'not-a-token' })
  await assert.rejects(stranger.payouts.listPayouts(), (error) => {
    assert.equal(error.httpStatus, 401)
    const { id, status, message } = error.context.body.error
    assert.ok(id)
    assert.equal(status, 401)
    assert.equal(message, error.message)
    return true
  })
})

test('a user without the permission is told which one is missing', async () => {
  const organisation = await anOrganisation()
  await assert.rejects(
    organisation.as('reader').payouts.createPayout({ body: aPayout(organisation) }),
    refusedWith(403, /is not authorized to perform operation \(Payouts:Create\)/),
  )
})

test('a field that does not belong is refused', async () => {
  const organisation = await anOrganisation()
  const body = aPayout(organisation, { memo: 'for March' })
  await assert.rejects(organisation.as('payer').payouts.createPayout({ body }), refusedWith(400))
})

test('what belongs to another organisation is not found', async () => {
  const mine = await anOrganisation()
  const theirs = await anOrganisation()
  const { id: payoutId } = await theirs.as('payer').payouts.createPayout({ body: aPayout(theirs) })
  await assert.rejects(mine.as('payer').payouts.getPayout({ payoutId }), refusedWith(404))
})

test('over the budget of a minute, the answer says when to come back', async () => {
  const organisation = await anOrganisation({ rateLimitPerMinute: 3 })
  const { payouts } = organisation.as('reader')
  for (let call = 0; call < 3; call += 1) await payouts.listPayouts()
  await assert.rejects(payouts.listPayouts(), (error) => {
    assert.equal(error.httpStatus, 429)
    const { headers } = error.context
    assert.equal(headers.get('x-ratelimit-limit'), '3')
    assert.equal(headers.get('x-ratelimit-remaining'), '0')
    assert.ok(Number(headers.get('x-ratelimit-reset')) > 0)
    const retryAfter = Number(headers.get('retry-after'))
    assert.ok(retryAfter >= 1 && retryAfter <= 60, `seconds to wait, got ${retryAfter}`)
    return true
  })
})
