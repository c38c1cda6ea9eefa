// User action signing through the official TypeScript SDK: which keys may sign, and what a signature is good for.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { BaseAuthApi, DfnsApiClient, DfnsDelegatedApiClient } from '@dfns/sdk'
import { AsymmetricKeySigner } from '@dfns/sdk-keysigner'
import { anOrganisation, refusedWith, sandboxUrl } from './organisation.js'
import { aPayout } from './payouts.js'

test('keys of all three kinds may sign', async () => {
  const organisation = await anOrganisation()
  const alice = organisation.as('alice')
  const encoding = { publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } }
  const kinds = { ed25519: {}, ec: { namedCurve: 'P-256' }, rsa: { modulusLength: 2048 } }
  for (const [kind, options] of Object.entries(kinds)) {
    const { publicKey, privateKey } = generateKeyPairSync(kind, { ...options, ...encoding })
    const account = await alice.auth.createServiceAccount({ body: { name: kind, publicKey, daysValid: 30 } })
    assert.equal(account.userInfo.isServiceAccount, true)
    const [{ accessToken, credId }] = account.accessTokens
    const caller = { baseUrl: sandboxUrl, authToken: accessToken }
    const signer = new AsymmetricKeySigner({ credId, privateKey })
    assert.ok(await userActionFor('{}', caller, signer), kind)
  }
})

test('a signature by another key is refused, and nothing is created', async () => {
  const organisation = await anOrganisation()
  const { privateKey } = generateKeyPairSync('ed25519', { privateKeyEncoding: { type: 'pkcs8', format: 'pem' } })
  const impostor = organisation.as('payer', { privateKeyPem: privateKey })
  await assert.rejects(impostor.payouts.createPayout({ body: aPayout(organisation) }), {
    name: 'DfnsError',
    message: /Unable to verify signature/,
  })
  assert.deepEqual((await organisation.as('payer').payouts.listPayouts()).items, [])
})

test('the challenge names the credentials that may sign it', async () => {
  const organisation = await anOrganisation()
  const confused = organisation.as('payer', { credentialId: organisation.user('alice').credentialId })
  await assert.rejects(confused.payouts.createPayout({ body: aPayout(organisation) }), {
    httpStatus: -1,
    message: /does not match allowed credentials/,
  })
})

test('a write without a user action is refused', async () => {
  const organisation = await anOrganisation()
  const response = await fetch(new URL('/payouts', sandboxUrl), {
    method: 'POST',
    headers: { authorization: `Bearer ${organisation.user('payer').token}`, 'content-type': 'application/json' },
    body: JSON.stringify(aPayout(organisation)),
  })
  assert.equal(response.status, 403)
  assert.match((await response.json()).error.message, /user action signature is missing or invalid/)
})

test('a user action that is signed elsewhere is good for one call and one body', async () => {
  const organisation = await anOrganisation()
  const { signer, ...options } = organisation.optionsOf('payer')
  const { payouts } = new DfnsDelegatedApiClient(options)
  const body = aPayout(organisation, { externalId: 'po-delegated' })
  const signed = async (forBody) => {
    const challenge = await payouts.createPayoutInit({ body: forBody })
    return { challengeIdentifier: challenge.challengeIdentifier, firstFactor: await signer.sign(challenge) }
  }

  const challenge = await signed(body)
  assert.equal((await payouts.createPayoutComplete({ body }, challenge)).status, 'Processing')
  await assert.rejects(payouts.createPayoutComplete({ body }, challenge), refusedWith(400, /Challenge token is not valid/))

  const other = { ...body, externalId: 'po-other' }
  await assert.rejects(payouts.createPayoutComplete({ body: other }, await signed(body)), refusedWith(403))
  assert.equal((await organisation.as('payer').payouts.listPayouts()).items.length, 1)
})

test('a user action token is used up by its call', async () => {
  const organisation = await anOrganisation()
  const { signer, ...options } = organisation.optionsOf('payer')
  const body = JSON.stringify(aPayout(organisation))
  const userAction = await userActionFor(body, options, signer)
  const send = () =>
    fetch(new URL('/payouts', sandboxUrl), {
      method: 'POST',
      headers: {
        authorization: `Bearer ${options.authToken}`,
        'content-type': 'application/json',
        'x-dfns-useraction': userAction,
      },
      body,
    })
  assert.equal((await send()).status, 200)
  const again = await send()
  assert.equal(again.status, 400)
  assert.match((await again.json()).error.message, /user action has already been used/)
})

test('a token names its organisation in the way the SDK checks', async () => {
  const organisation = await anOrganisation()
  const options = organisation.optionsOf('reader')
  const { items } = await new DfnsApiClient({ ...options, orgId: organisation.id }).payouts.listPayouts()
  assert.deepEqual(items, [])
  await assert.rejects(new DfnsApiClient({ ...options, orgId: 'or-other' }).payouts.listPayouts(), /not scoped to org ID/)
})

/** Signs the creation of a payout with `payload` as its body, and gives the token that allows it. */
async function userActionFor(payload, options, signer) {
  const challenge = await BaseAuthApi.createUserActionChallenge(
    { userActionPayload: payload, userActionHttpMethod: 'POST', userActionHttpPath: '/payouts', userActionServerKind: 'Api' },
    options,
  )
  const firstFactor = await signer.sign(challenge)
  const { challengeIdentifier } = challenge
  const { userAction } = await BaseAuthApi.signUserActionChallenge({ challengeIdentifier, firstFactor }, options)
  return userAction
}
