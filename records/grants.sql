-- What roles other than the owner of the tables may do in PostgreSQL, and no more. The owner runs this in the records'
-- database, once the roles are made, and again after each upgrade:
--   CREATE ROLE remit_worker LOGIN PASSWORD '…';
--   CREATE ROLE remit_publisher LOGIN PASSWORD '…';

-- Workers, relays and commands.
GRANT SELECT ON _sqlx_migrations, clock, payouts, provider_objects, provider_events, provider_event_objects,
    policy_revisions, policy_signatures, decisions, reservations, limits_lock, approvals, approvals_void, audit, audit_head,
    audit_checkpoints TO remit_worker;
GRANT INSERT ON payouts, provider_objects, provider_events, provider_event_objects, decisions, reservations, approvals,
    approvals_void, audit, audit_checkpoints TO remit_worker;
GRANT UPDATE (create_body, payout, gate, gate_address, gate_why, gate_moved_at, confirm_sent_at, outcome, ending,
    finished_at) ON payouts TO remit_worker;
GRANT UPDATE (times, event_id, seen_at, payout_key, mismatch, delivered_at) ON provider_events TO remit_worker;
GRANT DELETE ON provider_events TO remit_worker;
GRANT UPDATE (usd, state, counts_at, settled_at, why) ON reservations TO remit_worker;
-- To lock their rows; what the head says is moved by a trigger alone.
GRANT UPDATE (id) ON limits_lock, audit_head TO remit_worker;

-- Whoever publishes policies.
GRANT SELECT ON _sqlx_migrations, clock, policy_revisions, policy_signatures, audit, audit_head TO remit_publisher;
GRANT INSERT ON policy_revisions, policy_signatures, audit TO remit_publisher;
GRANT UPDATE (id) ON audit_head TO remit_publisher;
