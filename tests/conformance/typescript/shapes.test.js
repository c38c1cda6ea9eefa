// Every answer of the sandbox has the shape that the official SDK's types promise, field by field.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anOrganisation, SOME_ADDRESS, until, USDC_ON_POLYGON, USDC_ON_SOLANA } from './organisation.js'
import { aPayout, confirmationOf } from './payouts.js'
import { misfits } from './shapes.js'

/** Keeps what was seen, one value per area, type and state. */
class Seen {
  values = new Map()

  keep(area, type, value, about) {
    this.values.set(`${area} ${type} ${about}`, { area, type, value, about })
    return value
  }

  /** Reads to the end and keeps one value of every state on the way. */
  follow(area, type, read, stateOf, isLast) {
    return until(
      async () => {
        const value = await read()
        return this.keep(area, type, value, stateOf(value))
      },
      (value) => isLast(stateOf(value)),
    )
  }

  assertAllFit() {
    assert.deepEqual(misfits([...this.values.values()]), [])
  }
}

const executionStatus = (payout) => payout.data.executionStatus
const status = (object) => object.status

/** An event without the four fields that Dfns's pages describe and its types lack. */
function asTyped({ deliveryFailed, deliveryAttempt, retryOf, nextAttemptDate, ...event }) {
  return event
}

test('payouts and their quotes fit, in every state on the way', async () => {
  const organisation = await anOrganisation()
  const { payouts } = organisation.as('payer')
  const seen = new Seen()

  const bodies = [
    aPayout(organisation, { externalId: 'po-1' }),
    aPayout(organisation, {
      walletId: organisation.solanaWallet,
      asset: { kind: 'Spl', amount: '5000000', mint: USDC_ON_SOLANA },
    }),
    // The ending that a bank gives when it refuses.
    aPayout(organisation, { asset: { kind: 'Erc20', amount: '1000000090', contract: USDC_ON_POLYGON } }),
  ]
  for (const body of bodies) {
    seen.keep('payouts', 'CreatePayoutBody', body, body.asset.amount)
    const { walletId, asset, fiatCurrency, provider, country } = body
    const quote = await payouts.createPayoutQuote({ body: { walletId, asset, fiatCurrency, provider, country } })
    seen.keep('payouts', 'CreatePayoutQuoteResponse', quote, asset.kind)
    const created = await payouts.createPayout({ body })
    seen.keep('payouts', 'CreatePayoutResponse', created, asset.kind)

    const read = () => payouts.getPayout({ payoutId: created.id })
    const awaiting = (state) => state === 'AwaitingPayoutConfirmation'
    const ready = await seen.follow('payouts', 'GetPayoutResponse', read, executionStatus, awaiting)
    const confirmation = confirmationOf(ready)
    seen.keep('payouts', 'CreatePayoutActionBody', confirmation, asset.kind)
    const answer = await payouts.createPayoutAction({ payoutId: created.id, body: confirmation })
    seen.keep('payouts', 'CreatePayoutActionResponse', answer)
    const last = (state) => ['Completed', 'Failed'].includes(state)
    await seen.follow('payouts', 'GetPayoutResponse', read, executionStatus, last)
  }
  seen.keep('payouts', 'ListPayoutsResponse', await payouts.listPayouts())

  const states = [...seen.values.values()].filter(({ type }) => type === 'GetPayoutResponse').map(({ about }) => about)
  for (const state of ['AwaitingPayoutConfirmation', 'Completed', 'Failed'])
    assert.ok(states.includes(state), `${state} was not among ${states}`)
  seen.assertAllFit()
})

test('transfers and wallets fit', async () => {
  const organisation = await anOrganisation()
  const { wallets, networks } = organisation.as('payer')
  const seen = new Seen()
  const transfers = [
    [organisation.polygonWallet, { kind: 'Erc20', contract: USDC_ON_POLYGON, to: SOME_ADDRESS, amount: '1000000' }],
    [organisation.solanaWallet, { kind: 'Spl', mint: USDC_ON_SOLANA, to: 'So11111111111111111111111111111111111111112', amount: '1000000', createDestinationAccount: true }],
  ]
  for (const [walletId, body] of transfers) {
    seen.keep('wallets', 'TransferAssetBody', body, body.kind)
    const requested = await wallets.transferAsset({ walletId, body })
    seen.keep('wallets', 'TransferAssetResponse', requested, body.kind)
    const read = () => wallets.getTransfer({ walletId, transferId: requested.id })
    await seen.follow('wallets', 'GetTransferResponse', read, status, (state) => state === 'Confirmed')
    seen.keep('wallets', 'ListTransfersResponse', await wallets.listTransfers({ walletId }), body.kind)
    seen.keep('wallets', 'GetWalletResponse', await wallets.getWallet({ walletId }), body.kind)
    const assets = await wallets.getWalletAssets({ walletId, query: { netWorth: 'true' } })
    seen.keep('wallets', 'GetWalletAssetsResponse', assets, body.kind)
    const history = await wallets.getWalletHistory({ walletId })
    assert.notEqual(history.items.length, 0)
    seen.keep('wallets', 'GetWalletHistoryResponse', history, body.kind)
  }
  seen.keep('wallets', 'ListWalletsResponse', await wallets.listWallets())
  for (const network of ['Polygon', 'Solana'])
    seen.keep('networks', 'GetFeesResponse', await networks.getFees({ query: { network } }), network)
  seen.assertAllFit()
})

test('policies, approvals and webhooks fit', async () => {
  const organisation = await anOrganisation()
  const { policies, webhooks } = organisation.as('alice')
  const { wallets } = organisation.as('payer')
  const seen = new Seen()

  const subscription = { url: 'http://127.0.0.1:9/nobody-listens', events: ['policy.approval.pending'] }
  const { id: webhookId, ...created } = await webhooks.createWebhook({ body: subscription })
  seen.keep('webhooks', 'CreateWebhookResponse', { id: webhookId, ...created })

  const approvers = { userId: { in: [organisation.user('bob').userId] } }
  const policy = {
    name: 'Everything is approved by Bob',
    activityKind: 'Wallets:Sign',
    rule: { kind: 'AlwaysTrigger', configuration: {} },
    action: { kind: 'RequestApproval', approvalGroups: [{ name: 'Bob', quorum: 1, approvers }], autoRejectTimeout: 60 },
    filters: { walletId: { in: [organisation.polygonWallet] } },
  }
  seen.keep('policies', 'CreatePolicyBody', policy)
  const { id: policyId, ...rest } = await policies.createPolicy({ body: policy })
  seen.keep('policies', 'CreatePolicyResponse', { id: policyId, ...rest })
  seen.keep('policies', 'GetPolicyResponse', await policies.getPolicy({ policyId }))
  seen.keep('policies', 'ListPoliciesResponse', await policies.listPolicies())

  const walletId = organisation.polygonWallet
  const body = { kind: 'Erc20', contract: USDC_ON_POLYGON, to: SOME_ADDRESS, amount: '1000000' }
  const { id: transferId } = await wallets.transferAsset({ walletId, body })
  const held = await until(
    () => wallets.getTransfer({ walletId, transferId }),
    (transfer) => transfer.approvalId !== undefined,
  )
  seen.keep('wallets', 'GetTransferResponse', held, 'held')
  const { approvalId } = held
  seen.keep('policies', 'GetApprovalResponse', await policies.getApproval({ approvalId }), 'Pending')
  const decision = { approvalId, body: { value: 'Denied', reason: 'not today' } }
  seen.keep('policies', 'CreateApprovalDecisionResponse', await organisation.as('bob').policies.createApprovalDecision(decision))
  seen.keep('policies', 'ListApprovalsResponse', await policies.listApprovals())
  seen.keep('policies', 'UpdatePolicyResponse', await policies.updatePolicy({ policyId, body: policy }))
  seen.keep('policies', 'ArchivePolicyResponse', await policies.archivePolicy({ policyId }))

  const events = await until(
    () => webhooks.listWebhookEvents({ webhookId, query: { deliveryFailed: 'true' } }),
    (page) => page.items.length > 0,
  )
  seen.keep('webhooks', 'ListWebhookEventsResponse', { ...events, items: events.items.map(asTyped) })
  const { id: webhookEventId } = events.items[0]
  const event = await webhooks.getWebhookEvent({ webhookId, webhookEventId })
  seen.keep('webhooks', 'GetWebhookEventResponse', asTyped(event))
  seen.keep('webhooks', 'GetWebhookResponse', await webhooks.getWebhook({ webhookId }))
  seen.keep('webhooks', 'ListWebhooksResponse', await webhooks.listWebhooks())
  seen.keep('webhooks', 'PingWebhookResponse', await webhooks.pingWebhook({ webhookId }))
  const update = { webhookId, body: { status: 'Disabled' } }
  seen.keep('webhooks', 'UpdateWebhookResponse', await webhooks.updateWebhook(update))
  seen.keep('webhooks', 'DeleteWebhookResponse', await webhooks.deleteWebhook({ webhookId }))
  seen.assertAllFit()
})

test('a value that does not fit is found out', () => {
  const cancel = { area: 'payouts', type: 'CreatePayoutActionBody', value: { action: 'Cancel' } }
  assert.deepEqual(misfits([cancel]), [])
  const [surplus] = misfits([{ ...cancel, value: { action: 'Cancel', reason: 'x' } }])
  assert.match(surplus, /reason.*does not exist/)
  const [missing] = misfits([{ ...cancel, value: { action: 'Confirm', walletId: 'wa-1' } }])
  assert.match(missing, /transfer/)
})
