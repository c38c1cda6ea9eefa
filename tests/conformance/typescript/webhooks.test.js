// A webhook subscription through the official TypeScript SDK, and the real deliveries that reach a local server.
import assert from 'node:assert/strict'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { anOrganisation, refusedWith, until } from './organisation.js'
import { aPayout, aPayoutThatAwaitsConfirmation } from './payouts.js'

/** A local receiver that answers 200 and keeps what arrived; closed when the test ends. */
async function aReceiver(t) {
  const deliveries = []
  const server = createServer(async (request, response) => {
    deliveries.push({ headers: request.headers, body: await text(request) })
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${server.address().port}/dfns`, deliveries }
}

function assertSigned({ headers, body }, secret) {
  const expected = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
  const given = headers['x-dfns-webhook-signature']
  assert.equal(given?.length, expected.length, `signature header, got ${given}`)
  assert.ok(timingSafeEqual(Buffer.from(given), Buffer.from(expected)), 'the signature is not that of the body')
}

test('a subscription receives the signed event that says a payout awaits confirmation', async (t) => {
  const organisation = await anOrganisation()
  const { webhooks } = organisation.as('alice')
  const { url, deliveries } = await aReceiver(t)
  const subscription = await webhooks.createWebhook({
    body: { url, description: 'payouts', events: ['payout.action.required'] },
  })
  assert.match(subscription.id, /^wh-/)
  assert.equal(subscription.status, 'Enabled')
  const webhookId = subscription.id

  const payout = await aPayoutThatAwaitsConfirmation(organisation.as('payer'), aPayout(organisation))
  const [delivery] = await until(
    async () => deliveries,
    (all) => all.length > 0,
  )
  assertSigned(delivery, subscription.secret)
  const event = JSON.parse(delivery.body)
  assert.equal(event.kind, 'payout.action.required')
  assert.equal(event.deliveryAttempt, 1)
  assert.ok(Math.abs(Date.now() / 1000 - event.timestampSent) < 300, 'sent now')
  assert.deepEqual(event.data.payout, payout)

  const { items } = await until(
    () => webhooks.listWebhookEvents({ webhookId }),
    (page) => page.items.length > 0,
  )
  assert.deepEqual(items.map((item) => [item.id, item.kind, item.status]), [[event.id, event.kind, '200']])
  const stored = await webhooks.getWebhookEvent({ webhookId, webhookEventId: event.id })
  assert.deepEqual(stored.data, event.data)
  const failed = await webhooks.listWebhookEvents({ webhookId, query: { deliveryFailed: 'true' } })
  assert.deepEqual(failed.items, [])
})

test('a subscription shows its secret once, can be changed, pinged and deleted', async (t) => {
  const organisation = await anOrganisation()
  const { webhooks } = organisation.as('alice')
  const { url, deliveries } = await aReceiver(t)
  const { secret, ...subscription } = await webhooks.createWebhook({ body: { url, events: ['*'] } })
  const webhookId = subscription.id
  assert.ok(secret)
  assert.deepEqual(await webhooks.getWebhook({ webhookId }), subscription)
  assert.deepEqual((await webhooks.listWebhooks()).items, [subscription])

  const ping = await webhooks.pingWebhook({ webhookId })
  assert.equal(ping.status, '200')
  assertSigned(deliveries[0], secret)

  const changed = await webhooks.updateWebhook({ webhookId, body: { status: 'Disabled', description: 'paused' } })
  assert.equal(changed.status, 'Disabled')
  assert.equal(changed.description, 'paused')
  assert.equal(changed.url, url)

  assert.deepEqual(await webhooks.deleteWebhook({ webhookId }), { deleted: true })
  await assert.rejects(webhooks.getWebhook({ webhookId }), refusedWith(404))
})
