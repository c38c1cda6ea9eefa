// Token transfers as the official TypeScript SDK asks for them, and what the wallet shows of them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anOrganisation, refusedWith, SOME_ADDRESS, until, USDC_ON_POLYGON } from './organisation.js'

const aTransfer = (changes = {}) => ({
  kind: 'Erc20',
  contract: USDC_ON_POLYGON,
  to: SOME_ADDRESS,
  amount: '2500000',
  ...changes,
})

test('a token transfer is broadcast and confirmed, and the balance falls by its amount', async () => {
  const organisation = await anOrganisation()
  const dfns = organisation.as('payer')
  const walletId = organisation.polygonWallet
  const balance = async () => {
    const { assets } = await dfns.wallets.getWalletAssets({ walletId })
    return BigInt(assets.find((asset) => asset.contract === USDC_ON_POLYGON).balance)
  }
  const before = await balance()

  const requested = await dfns.wallets.transferAsset({ walletId, body: aTransfer({ externalId: 'tr-1' }) })
  assert.match(requested.id, /^xfr-/)
  assert.ok(['Pending', 'Executing'].includes(requested.status), requested.status)
  assert.deepEqual(requested.requestBody, aTransfer({ externalId: 'tr-1' }))

  const confirmed = await until(
    () => dfns.wallets.getTransfer({ walletId, transferId: requested.id }),
    (transfer) => !['Pending', 'Executing', 'Broadcasted'].includes(transfer.status),
  )
  assert.equal(confirmed.status, 'Confirmed')
  assert.match(confirmed.txHash, /^0x[0-9a-f]{64}$/)
  assert.ok(confirmed.dateBroadcasted && confirmed.dateConfirmed)

  await until(balance, (now) => now === before - 2_500_000n)
  assert.deepEqual((await dfns.wallets.listTransfers({ walletId })).items, [confirmed])
  const { items } = await dfns.wallets.getWalletHistory({ walletId })
  const moved = items.find((item) => item.txHash === confirmed.txHash)
  assert.equal(moved.kind, 'Erc20Transfer')
  assert.equal(moved.direction, 'Out')
  assert.equal(moved.value, '2500000')
})

test('one external id is one transfer, and another body is a conflict that names it', async () => {
  const organisation = await anOrganisation()
  const dfns = organisation.as('payer')
  const walletId = organisation.polygonWallet
  const body = aTransfer({ externalId: 'tr-once' })
  const first = await dfns.wallets.transferAsset({ walletId, body })
  const again = await dfns.wallets.transferAsset({ walletId, body })
  assert.equal(again.id, first.id)

  await assert.rejects(dfns.wallets.transferAsset({ walletId, body: { ...body, amount: '2500001' } }), (error) => {
    assert.equal(error.httpStatus, 409)
    assert.deepEqual(error.context.body.error.details.duplicate, { id: first.id, externalId: 'tr-once' })
    return true
  })
  assert.equal((await dfns.wallets.listTransfers({ walletId })).items.length, 1)
})

test('a transfer that is on chain can no longer be aborted', async () => {
  const organisation = await anOrganisation()
  const dfns = organisation.as('payer')
  const walletId = organisation.polygonWallet
  const { id: transferId } = await dfns.wallets.transferAsset({ walletId, body: aTransfer() })
  await until(
    () => dfns.wallets.getTransfer({ walletId, transferId }),
    (transfer) => transfer.status === 'Confirmed',
  )
  await assert.rejects(dfns.wallets.abortTransfer({ walletId, transferId }), (error) => {
    assert.ok(error.httpStatus >= 400 && error.httpStatus < 500, `refused, got ${error.httpStatus}`)
    return true
  })
})

test('a wallet is listed, read and priced', async () => {
  const organisation = await anOrganisation()
  const dfns = organisation.as('reader')
  const { items } = await dfns.wallets.listWallets()
  assert.deepEqual(items.map((wallet) => wallet.id).sort(), [organisation.polygonWallet, organisation.solanaWallet].sort())
  const wallet = await dfns.wallets.getWallet({ walletId: organisation.polygonWallet })
  assert.equal(wallet.network, 'Polygon')
  assert.equal(wallet.status, 'Active')
  const { netWorth } = await dfns.wallets.getWalletAssets({ walletId: wallet.id, query: { netWorth: 'true' } })
  assert.ok(netWorth.USD > 0)

  const fees = await dfns.networks.getFees({ query: { network: 'Polygon' } })
  assert.equal(fees.kind, 'Eip1559')
  assert.match(fees.standard.maxFeePerGas, /^\d+$/)
  await assert.rejects(dfns.networks.getFees({ query: { network: 'Stellar' } }), refusedWith(400))
})
