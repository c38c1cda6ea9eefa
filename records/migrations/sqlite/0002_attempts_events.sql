-- What operators' retries, lists and the provider's events need. See README.md.

ALTER TABLE payouts ADD COLUMN request TEXT;
ALTER TABLE payouts ADD COLUMN wallet TEXT;
ALTER TABLE payouts ADD COLUMN asset TEXT;
ALTER TABLE payouts ADD COLUMN amount TEXT;
ALTER TABLE payouts ADD COLUMN program TEXT;
ALTER TABLE payouts ADD COLUMN ending TEXT;

DROP TRIGGER payouts_are_written_once;
UPDATE payouts SET ending = json_extract(outcome, '$.ending') WHERE json_type(outcome, '$.ending') = 'text';
CREATE TRIGGER payouts_are_written_once BEFORE UPDATE ON payouts
WHEN NEW.payout_key IS NOT OLD.payout_key
    OR NEW.base_key IS NOT OLD.base_key
    OR NEW.attempt IS NOT OLD.attempt
    OR NEW.external_id IS NOT OLD.external_id
    OR NEW.digest IS NOT OLD.digest
    OR NEW.claimed_at IS NOT OLD.claimed_at
    OR (OLD.request IS NOT NULL AND NEW.request IS NOT OLD.request)
    OR (OLD.request IS NOT NULL AND NEW.wallet IS NOT OLD.wallet)
    OR (OLD.request IS NOT NULL AND NEW.asset IS NOT OLD.asset)
    OR (OLD.request IS NOT NULL AND NEW.amount IS NOT OLD.amount)
    OR (OLD.request IS NOT NULL AND NEW.program IS NOT OLD.program)
    OR (OLD.create_body IS NOT NULL AND NEW.create_body IS NOT OLD.create_body)
    OR (OLD.payout IS NOT NULL AND NEW.payout IS NOT OLD.payout)
    OR (OLD.outcome IS NOT NULL AND NEW.outcome IS NOT OLD.outcome)
    OR (OLD.outcome IS NOT NULL AND NEW.ending IS NOT OLD.ending)
    OR (OLD.outcome IS NOT NULL AND NEW.finished_at IS NOT OLD.finished_at)
    OR (OLD.gate <> 'open' AND NEW.gate IS NOT OLD.gate)
    OR (OLD.gate <> 'open' AND NEW.gate_address IS NOT OLD.gate_address)
    OR (OLD.gate <> 'open' AND NEW.gate_why IS NOT OLD.gate_why)
    OR (OLD.gate <> 'open' AND NEW.gate_moved_at IS NOT OLD.gate_moved_at)
BEGIN
    SELECT RAISE(ABORT, 'what payouts says is written once');
END;

CREATE INDEX payouts_newest ON payouts (claimed_at, payout_key);
CREATE INDEX payouts_newest_open ON payouts (claimed_at, payout_key) WHERE outcome IS NULL;
CREATE INDEX payouts_by_ending ON payouts (ending, claimed_at, payout_key);
CREATE INDEX payouts_by_wallet ON payouts (wallet, claimed_at, payout_key);
CREATE INDEX payouts_by_program ON payouts (program, claimed_at, payout_key);

CREATE TABLE provider_objects (
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    payout_key TEXT NOT NULL REFERENCES payouts (payout_key),
    mapped_at INTEGER NOT NULL,
    PRIMARY KEY (kind, object)
);
CREATE INDEX provider_objects_of_payout ON provider_objects (payout_key);
INSERT INTO provider_objects (kind, object, payout_key, mapped_at)
SELECT 'payout', payout, payout_key, (SELECT now_us FROM clock) FROM payouts WHERE payout IS NOT NULL;

CREATE TRIGGER provider_objects_are_kept BEFORE DELETE ON provider_objects
BEGIN
    SELECT RAISE(ABORT, 'rows of provider_objects are kept for ever');
END;
CREATE TRIGGER provider_objects_are_written_once BEFORE UPDATE ON provider_objects
BEGIN
    SELECT RAISE(ABORT, 'what provider_objects says is written once');
END;

CREATE TABLE provider_events (
    what TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    about TEXT NOT NULL,
    state TEXT NOT NULL,
    named_key TEXT,
    body BLOB NOT NULL,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    times INTEGER NOT NULL CHECK (times > 0),
    received_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    payout_key TEXT REFERENCES payouts (payout_key),
    mismatch TEXT,
    delivered_at INTEGER,
    CHECK (payout_key IS NULL OR mismatch IS NULL),
    CHECK (delivered_at IS NULL OR payout_key IS NOT NULL)
);
CREATE INDEX provider_events_newest ON provider_events (received_at, what);
CREATE INDEX provider_events_newest_undelivered ON provider_events (received_at, what) WHERE delivered_at IS NULL;
CREATE INDEX provider_events_due ON provider_events (received_at, what)
    WHERE payout_key IS NOT NULL AND delivered_at IS NULL;
CREATE INDEX provider_events_by_delivery ON provider_events (delivered_at);
CREATE INDEX provider_events_by_kind ON provider_events (kind, received_at, what);
CREATE INDEX provider_events_of_payout ON provider_events (payout_key, received_at, what);
CREATE INDEX provider_events_naming ON provider_events (named_key) WHERE named_key IS NOT NULL;

CREATE TABLE provider_event_objects (
    what TEXT NOT NULL REFERENCES provider_events (what) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position BETWEEN 1 AND 4),
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    PRIMARY KEY (what, position)
);
CREATE INDEX provider_event_objects_by_object ON provider_event_objects (kind, object);

CREATE TRIGGER provider_events_are_kept BEFORE DELETE ON provider_events
WHEN OLD.payout_key IS NOT NULL AND OLD.delivered_at IS NULL
BEGIN
    SELECT RAISE(ABORT, 'an event of a payout is kept until it was delivered');
END;
CREATE TRIGGER provider_events_are_written_once BEFORE UPDATE ON provider_events
WHEN NEW.what IS NOT OLD.what
    OR NEW.kind IS NOT OLD.kind
    OR NEW.about IS NOT OLD.about
    OR NEW.state IS NOT OLD.state
    OR NEW.named_key IS NOT OLD.named_key
    OR NEW.body IS NOT OLD.body
    OR NEW.source IS NOT OLD.source
    OR NEW.received_at IS NOT OLD.received_at
    OR NEW.times < OLD.times
    OR (OLD.payout_key IS NOT NULL AND NEW.payout_key IS NOT OLD.payout_key)
    OR (OLD.mismatch IS NOT NULL AND NEW.mismatch IS NOT OLD.mismatch)
    OR (OLD.delivered_at IS NOT NULL AND NEW.delivered_at IS NOT OLD.delivered_at)
BEGIN
    SELECT RAISE(ABORT, 'what provider_events says is written once');
END;
CREATE TRIGGER provider_event_objects_are_written_once BEFORE UPDATE ON provider_event_objects
BEGIN
    SELECT RAISE(ABORT, 'what provider_event_objects says is written once');
END;
