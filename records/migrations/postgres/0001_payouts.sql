-- Integers named *_at count microseconds since the Unix epoch, by `clock`. See README.md.

CREATE TABLE clock_shift (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    shift_us BIGINT NOT NULL CHECK (shift_us >= 0)
);
INSERT INTO clock_shift (id, shift_us) VALUES (1, 0);

CREATE VIEW clock AS
SELECT CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000) AS BIGINT) + shift_us AS now_us
FROM clock_shift;

CREATE TABLE payouts (
    payout_key TEXT NOT NULL PRIMARY KEY,
    base_key TEXT NOT NULL,
    attempt BIGINT NOT NULL CHECK (attempt BETWEEN 1 AND 100),
    external_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    claimed_at BIGINT NOT NULL,
    create_body BYTEA,
    payout TEXT,
    gate TEXT NOT NULL DEFAULT 'open' CHECK (gate IN ('open', 'confirming', 'closed')),
    gate_address TEXT,
    gate_why TEXT,
    gate_moved_at BIGINT,
    confirm_sent_at BIGINT,
    outcome TEXT,
    finished_at BIGINT,
    CHECK (attempt > 1 OR payout_key = base_key),
    CHECK ((gate = 'open') = (gate_moved_at IS NULL)),
    CHECK (gate <> 'confirming' OR gate_address IS NOT NULL),
    CHECK (gate <> 'closed' OR gate_why IS NOT NULL),
    CHECK ((outcome IS NULL) = (finished_at IS NULL))
);
CREATE UNIQUE INDEX payouts_attempt ON payouts (base_key, attempt);
CREATE UNIQUE INDEX payouts_payout ON payouts (payout) WHERE payout IS NOT NULL;

CREATE FUNCTION payouts_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of payouts are kept for ever';
END
$$;
CREATE TRIGGER payouts_are_kept BEFORE DELETE OR TRUNCATE ON payouts
FOR EACH STATEMENT EXECUTE FUNCTION payouts_are_kept();

CREATE FUNCTION payouts_are_written_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what payouts says is written once';
END
$$;
CREATE TRIGGER payouts_are_written_once BEFORE UPDATE ON payouts
FOR EACH ROW WHEN (
    NEW.payout_key IS DISTINCT FROM OLD.payout_key
    OR NEW.base_key IS DISTINCT FROM OLD.base_key
    OR NEW.attempt IS DISTINCT FROM OLD.attempt
    OR NEW.external_id IS DISTINCT FROM OLD.external_id
    OR NEW.digest IS DISTINCT FROM OLD.digest
    OR NEW.claimed_at IS DISTINCT FROM OLD.claimed_at
    OR (OLD.create_body IS NOT NULL AND NEW.create_body IS DISTINCT FROM OLD.create_body)
    OR (OLD.payout IS NOT NULL AND NEW.payout IS DISTINCT FROM OLD.payout)
    OR (OLD.outcome IS NOT NULL AND NEW.outcome IS DISTINCT FROM OLD.outcome)
    OR (OLD.outcome IS NOT NULL AND NEW.finished_at IS DISTINCT FROM OLD.finished_at)
    OR (OLD.gate <> 'open' AND NEW.gate IS DISTINCT FROM OLD.gate)
    OR (OLD.gate <> 'open' AND NEW.gate_address IS DISTINCT FROM OLD.gate_address)
    OR (OLD.gate <> 'open' AND NEW.gate_why IS DISTINCT FROM OLD.gate_why)
    OR (OLD.gate <> 'open' AND NEW.gate_moved_at IS DISTINCT FROM OLD.gate_moved_at)
)
EXECUTE FUNCTION payouts_are_written_once();
