// Payouts as the official TypeScript SDK asks for them: quote, create, confirm, follow, list, cancel.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anOrganisation, refusedWith, SOME_ADDRESS, until, USDC_ON_SOLANA } from './organisation.js'
import { AMOUNT, aPayout, aPayoutThatAwaitsConfirmation, confirm, confirmationOf, ended } from './payouts.js'

test('a payout is quoted, created, confirmed, completed and listed', async () => {
  const organisation = await anOrganisation()
  const dfns = organisation.as('payer')
  const { walletId, asset, fiatCurrency, provider, country, ...rest } = aPayout(organisation)

  const quote = await dfns.payouts.createPayoutQuote({ body: { walletId, asset, fiatCurrency, provider, country } })
  assert.equal(quote.provider, 'Borderless')
  assert.equal(quote.asset.network, 'Polygon')
  assert.equal(quote.asset.amount, AMOUNT)
  const { offer } = quote.quotes[0]
  assert.equal(offer.fiatCurrency, 'USD')
  assert.ok(offer.amount > 0 && offer.fees >= 0, `an offer net of fees, got ${JSON.stringify(offer)}`)

  const body = { walletId, asset, fiatCurrency, provider, country, ...rest, externalId: 'po-1' }
  const created = await dfns.payouts.createPayout({ body })
  assert.match(created.id, /^pyt-[a-z0-9]{5}-[a-z0-9]{5}-[a-z0-9]{14,16}$/)
  assert.equal(created.status, 'Processing')
  assert.equal(created.data.executionStatus, 'Initializing')
  assert.equal(created.externalId, 'po-1')
  assert.equal(created.requester.userId, organisation.user('payer').userId)

  const ready = await until(
    () => dfns.payouts.getPayout({ payoutId: created.id }),
    (payout) => payout.data.executionStatus === 'AwaitingPayoutConfirmation',
  )
  assert.match(ready.data.depositAddress, /^0x[0-9a-fA-F]{40}$/)
  for (const field of ['walletId', 'fiatCurrency', 'provider', 'externalId'])
    assert.equal(ready[field], body[field], field)
  for (const field of ['borderlessAccountId', 'paymentInstructionsId', 'paymentPurpose', 'country'])
    assert.equal(ready.data[field], body[field], field)

  assert.deepEqual(await confirm(dfns, ready), {})
  const paid = await ended(dfns, ready)
  assert.equal(paid.status, 'Completed')
  assert.equal(paid.data.executionStatus, 'Completed')
  for (const date of [paid.dateFinalized, paid.data.dateConfirmed, paid.data.dateDepositConfirmed, paid.data.datePayoutConfirmed])
    assert.match(date, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)

  const transfer = await dfns.wallets.getTransfer({ walletId, transferId: paid.data.transferId })
  assert.equal(transfer.status, 'Confirmed')
  assert.equal(transfer.requestBody.to, ready.data.depositAddress)
  assert.equal(transfer.requestBody.amount, AMOUNT)
  assert.equal(transfer.txHash, paid.data.transactionHash)

  const { items } = await dfns.payouts.listPayouts()
  assert.deepEqual(items, [paid])
})

test('an SPL payout from Solana completes as well', async () => {
  const organisation = await anOrganisation()
  const dfns = organisation.as('payer')
  const ready = await aPayoutThatAwaitsConfirmation(
    dfns,
    aPayout(organisation, {
      walletId: organisation.solanaWallet,
      asset: { kind: 'Spl', amount: AMOUNT, mint: USDC_ON_SOLANA },
    }),
  )
  assert.equal(ready.asset.network, 'Solana')
  await confirm(dfns, ready)
  assert.equal((await ended(dfns, ready)).status, 'Completed')
})

test('a payout that awaits confirmation can be cancelled, and then not confirmed', async () => {
  const organisation = await anOrganisation()
  const dfns = organisation.as('payer')
  const ready = await aPayoutThatAwaitsConfirmation(dfns, aPayout(organisation))

  assert.deepEqual(await dfns.payouts.createPayoutAction({ payoutId: ready.id, body: { action: 'Cancel' } }), {})
  const canceled = await ended(dfns, ready)
  assert.equal(canceled.status, 'Canceled')
  assert.equal(canceled.data.executionStatus, 'Canceled')
  assert.ok(canceled.data.dateCanceled)
  assert.equal(canceled.data.transferId, undefined)
  await assert.rejects(confirm(dfns, ready), refusedWith(412))
})

test('a second confirmation is refused and pays nothing more', async () => {
  const organisation = await anOrganisation()
  const dfns = organisation.as('payer')
  const ready = await aPayoutThatAwaitsConfirmation(dfns, aPayout(organisation))
  await confirm(dfns, ready)
  await assert.rejects(confirm(dfns, ready), refusedWith(412))
  await ended(dfns, ready)
  const { items } = await dfns.wallets.listTransfers({ walletId: organisation.polygonWallet })
  assert.equal(items.length, 1)
})

test('a confirmation that names another address or amount is refused and moves nothing', async () => {
  const organisation = await anOrganisation()
  const dfns = organisation.as('payer')
  const ready = await aPayoutThatAwaitsConfirmation(dfns, aPayout(organisation))
  for (const change of [{ to: SOME_ADDRESS }, { amount: '999999900' }]) {
    const body = confirmationOf(ready, change)
    await assert.rejects(dfns.payouts.createPayoutAction({ payoutId: ready.id, body }), refusedWith(400))
  }
  const after = await dfns.payouts.getPayout({ payoutId: ready.id })
  assert.equal(after.data.executionStatus, 'AwaitingPayoutConfirmation')
  const { items } = await dfns.wallets.listTransfers({ walletId: organisation.polygonWallet })
  assert.deepEqual(items, [])
})

test('only the user who created a payout may confirm it', async () => {
  const organisation = await anOrganisation()
  const ready = await aPayoutThatAwaitsConfirmation(organisation.as('payer'), aPayout(organisation))
  await assert.rejects(confirm(organisation.as('alice'), ready), refusedWith(403))
})

test('creating twice with one external id gives one payout, and another body is a conflict', async () => {
  const organisation = await anOrganisation()
  const dfns = organisation.as('payer')
  const body = aPayout(organisation, { externalId: 'po-once' })
  const first = await dfns.payouts.createPayout({ body })
  const again = await dfns.payouts.createPayout({ body })
  assert.equal(again.id, first.id)

  await assert.rejects(dfns.payouts.createPayout({ body: { ...body, country: 'BR' } }), (error) => {
    assert.equal(error.httpStatus, 409)
    assert.deepEqual(error.context.body.error.details.duplicate, { id: first.id, externalId: 'po-once' })
    return true
  })
  assert.equal((await dfns.payouts.listPayouts()).items.length, 1)
})

test('a list is filtered by status and wallet, and read page by page', async () => {
  const organisation = await anOrganisation()
  const dfns = organisation.as('payer')
  const canceled = await aPayoutThatAwaitsConfirmation(dfns, aPayout(organisation))
  await dfns.payouts.createPayoutAction({ payoutId: canceled.id, body: { action: 'Cancel' } })
  const open = await aPayoutThatAwaitsConfirmation(dfns, aPayout(organisation))

  const idsOf = async (query) => (await dfns.payouts.listPayouts({ query })).items.map((payout) => payout.id)
  assert.deepEqual(await idsOf({ status: ['Processing'] }), [open.id])
  assert.deepEqual(await idsOf({ status: ['Canceled', 'Expired'] }), [canceled.id])
  assert.deepEqual(await idsOf({ walletId: organisation.solanaWallet }), [])

  const first = await dfns.payouts.listPayouts({ query: { limit: 1 } })
  const second = await dfns.payouts.listPayouts({ query: { limit: 1, paginationToken: first.nextPageToken } })
  assert.deepEqual([...first.items, ...second.items].map((payout) => payout.id).sort(), [canceled.id, open.id].sort())
  assert.equal(second.nextPageToken, undefined)
})
