-- Integers named *_at count microseconds since the Unix epoch, by `clock`. See README.md.

CREATE TABLE clock_shift (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    shift_us INTEGER NOT NULL CHECK (shift_us >= 0)
);
INSERT INTO clock_shift (id, shift_us) VALUES (1, 0);

-- SQLite's clock counts milliseconds; ROUND undoes what the binary fraction adds.
CREATE VIEW clock AS
SELECT CAST(ROUND(unixepoch('now', 'subsec') * 1000) AS INTEGER) * 1000 + shift_us AS now_us
FROM clock_shift;

CREATE TABLE payouts (
    payout_key TEXT NOT NULL PRIMARY KEY,
    base_key TEXT NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt BETWEEN 1 AND 100),
    external_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    claimed_at INTEGER NOT NULL,
    create_body BLOB,
    payout TEXT,
    gate TEXT NOT NULL DEFAULT 'open' CHECK (gate IN ('open', 'confirming', 'closed')),
    gate_address TEXT,
    gate_why TEXT,
    gate_moved_at INTEGER,
    confirm_sent_at INTEGER,
    outcome TEXT,
    finished_at INTEGER,
    CHECK (attempt > 1 OR payout_key = base_key),
    CHECK ((gate = 'open') = (gate_moved_at IS NULL)),
    CHECK (gate <> 'confirming' OR gate_address IS NOT NULL),
    CHECK (gate <> 'closed' OR gate_why IS NOT NULL),
    CHECK ((outcome IS NULL) = (finished_at IS NULL))
);
CREATE UNIQUE INDEX payouts_attempt ON payouts (base_key, attempt);
CREATE UNIQUE INDEX payouts_payout ON payouts (payout) WHERE payout IS NOT NULL;

CREATE TRIGGER payouts_are_kept BEFORE DELETE ON payouts
BEGIN
    SELECT RAISE(ABORT, 'rows of payouts are kept for ever');
END;

CREATE TRIGGER payouts_are_written_once BEFORE UPDATE ON payouts
WHEN NEW.payout_key IS NOT OLD.payout_key
    OR NEW.base_key IS NOT OLD.base_key
    OR NEW.attempt IS NOT OLD.attempt
    OR NEW.external_id IS NOT OLD.external_id
    OR NEW.digest IS NOT OLD.digest
    OR NEW.claimed_at IS NOT OLD.claimed_at
    OR (OLD.create_body IS NOT NULL AND NEW.create_body IS NOT OLD.create_body)
    OR (OLD.payout IS NOT NULL AND NEW.payout IS NOT OLD.payout)
    OR (OLD.outcome IS NOT NULL AND NEW.outcome IS NOT OLD.outcome)
    OR (OLD.outcome IS NOT NULL AND NEW.finished_at IS NOT OLD.finished_at)
    OR (OLD.gate <> 'open' AND NEW.gate IS NOT OLD.gate)
    OR (OLD.gate <> 'open' AND NEW.gate_address IS NOT OLD.gate_address)
    OR (OLD.gate <> 'open' AND NEW.gate_why IS NOT OLD.gate_why)
    OR (OLD.gate <> 'open' AND NEW.gate_moved_at IS NOT OLD.gate_moved_at)
BEGIN
    SELECT RAISE(ABORT, 'what payouts says is written once');
END;
