// What `remit policy apply --dfns` writes, as the official TypeScript SDK reads it back.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { anOrganisation, SOME_ADDRESS, sandboxUrl, until, USDC_ON_POLYGON } from './organisation.js'
import { misfits } from './shapes.js'

const remit = process.env.REMIT
if (!remit) throw new Error('REMIT is not set; expected the path of the built program, as ../run sets it')

const policyOf = (organisation, { limit = 1000 } = {}) => `
name = "conformance"

[people.alice]
key = "ed25519:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
dfns_user = "${organisation.user('alice').userId}"

[people.bob]
key = "ed25519:AgIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
dfns_user = "${organisation.user('bob').userId}"

[groups.treasury]
people = ["alice", "bob"]

[[rule]]
name = "large"
kind = "TransactionAmountLimit"
limit = "${limit} USD"
action = "RequestApproval"
approvals = [{ group = "treasury", quorum = 1 }]
timeout = "8h"

[[rule]]
name = "many"
kind = "TransactionCountVelocity"
limit = 100
window = "1h"
per = ["wallet"]
action = "Block"

[[rule]]
name = "strangers"
kind = "TransactionRecipientWhitelist"
recipients = ["Borderless/acc-1/pi-1"]
action = "Block"
`

/** Runs `remit policy <args>` as bob, who may write policies; resolves with exit code and output whatever they are. */
async function policy(organisation, toml, ...args) {
  const folder = await mkdtemp(join(tmpdir(), 'custody-'))
  try {
    const [policyFile, keyFile] = [join(folder, 'policy.toml'), join(folder, 'key.pem')]
    const bob = organisation.user('bob')
    await writeFile(policyFile, toml)
    await writeFile(keyFile, bob.privateKeyPem, { mode: 0o600 })
    const env = {
      PATH: process.env.PATH,
      HOME: folder,
      DFNS_BASE_URL: sandboxUrl,
      DFNS_TOKEN: bob.token,
      DFNS_CREDENTIAL_ID: bob.credentialId,
      DFNS_PRIVATE_KEY_FILE: keyFile,
      DFNS_USER_ID: bob.userId,
    }
    const payer = organisation.user('payer').userId
    const line = ['policy', ...args, '--dfns', policyFile, '--wallet', organisation.polygonWallet, '--payer', payer]
    return await new Promise((resolve) => {
      execFile(remit, line, { cwd: folder, env, timeout: 60_000 }, (error, stdout, stderr) => {
        resolve({ exit: error ? error.code : 0, stdout, stderr })
      })
    })
  } finally {
    await rm(folder, { recursive: true })
  }
}

const active = async (organisation) => {
  const { items } = await organisation.as('reader').policies.listPolicies({ query: { status: 'Active' } })
  return items.sort((a, b) => a.name.localeCompare(b.name))
}

test('the SDK reads back what was written, and it has the shape of its types', async () => {
  const organisation = await anOrganisation()
  const applied = await policy(organisation, policyOf(organisation), 'apply', '--yes')
  assert.equal(applied.exit, 0, applied.stderr)
  assert.match(applied.stdout, /strangers .*deposit address/, 'what Dfns cannot say is named')

  const [large, many, ...more] = await active(organisation)
  assert.deepEqual(more, [])
  const filters = { walletId: { in: [organisation.polygonWallet] } }
  assert.equal(large.name, 'remit: large')
  assert.equal(large.activityKind, 'Wallets:Sign')
  assert.deepEqual(large.rule, { kind: 'TransactionAmountLimit', configuration: { limit: 1000, currency: 'USD' } })
  assert.deepEqual(large.filters, filters)
  assert.equal(large.action.kind, 'RequestApproval')
  assert.equal(large.action.autoRejectTimeout, 239, 'before the payout behind it expires')
  const [group] = large.action.approvalGroups
  const users = ['alice', 'bob'].map((name) => organisation.user(name).userId).sort()
  assert.deepEqual([group.name, group.quorum, group.approvers.userId.in.sort()], ['treasury', 1, users])
  assert.deepEqual([group.initiatorCanApprove ?? false, group.serviceAccountsCanApprove ?? false], [false, false])
  assert.equal(many.name, 'remit: many')
  assert.deepEqual(many.rule, { kind: 'TransactionCountVelocity', configuration: { limit: 100, timeframe: 60 } })
  assert.deepEqual([many.action.kind, many.filters], ['Block', filters])

  const values = [large, many].map((value) => ({ area: 'policies', type: 'GetPolicyResponse', value, about: value.name }))
  assert.deepEqual(misfits(values), [])
})

test('a transfer that goes past the workers is held by it', async () => {
  const organisation = await anOrganisation()
  assert.equal((await policy(organisation, policyOf(organisation), 'apply', '--yes')).exit, 0)
  const dfns = organisation.as('payer')
  const walletId = organisation.polygonWallet
  const body = { kind: 'Erc20', contract: USDC_ON_POLYGON, to: SOME_ADDRESS, amount: '1000000001' }
  const { id: transferId } = await dfns.wallets.transferAsset({ walletId, body })
  const read = () => dfns.wallets.getTransfer({ walletId, transferId })
  await until(read, (transfer) => transfer.status === 'Pending' && transfer.approvalId !== undefined)
})

test('applied again it changes nothing, a changed rule is replaced, and what others wrote stays', async () => {
  const organisation = await anOrganisation()
  const theirs = { name: 'ours alone', activityKind: 'Wallets:Sign', rule: { kind: 'AlwaysTrigger', configuration: {} }, action: { kind: 'Block' } }
  await organisation.as('alice').policies.createPolicy({ body: theirs })
  assert.equal((await policy(organisation, policyOf(organisation), 'apply', '--yes')).exit, 0)
  const before = await active(organisation)
  assert.equal((await policy(organisation, policyOf(organisation), 'apply', '--yes')).exit, 0)
  assert.deepEqual(await active(organisation), before)

  const planned = await policy(organisation, policyOf(organisation, { limit: 500 }), 'plan', '--json')
  const changes = JSON.parse(planned.stdout).changes.map(({ change, name }) => `${change} ${name}`)
  assert.deepEqual(changes, ['replace remit: large', 'keep remit: many'])
  assert.deepEqual(await active(organisation), before, 'a plan writes nothing')

  assert.equal((await policy(organisation, policyOf(organisation, { limit: 500 }), 'apply', '--yes')).exit, 0)
  const after = await active(organisation)
  assert.deepEqual(after.map(({ id }) => id), before.map(({ id }) => id))
  assert.equal(after.find(({ name }) => name === 'remit: large').rule.configuration.limit, 500)

  assert.equal((await policy(organisation, 'name = "empty"', 'apply', '--yes')).exit, 0)
  assert.deepEqual((await active(organisation)).map(({ name }) => name), ['ours alone'])
})

test('without a yes nothing is written', async () => {
  const organisation = await anOrganisation()
  const refused = await policy(organisation, policyOf(organisation), 'apply')
  assert.equal(refused.exit, 2, refused.stderr)
  assert.match(refused.stderr, /--yes/)
  assert.deepEqual(await active(organisation), [])
})
