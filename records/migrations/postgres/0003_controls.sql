-- What a policy decides, what limits count, what people sign, and a record of it all. See README.md.

CREATE FUNCTION rows_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are written once and kept for ever', TG_TABLE_NAME;
END
$$;

CREATE TABLE policy_revisions (
    number BIGINT NOT NULL PRIMARY KEY CHECK (number >= 1),
    hash TEXT NOT NULL UNIQUE,
    previous TEXT REFERENCES policy_revisions (hash),
    content TEXT NOT NULL,
    author TEXT NOT NULL,
    note TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    CHECK ((number = 1) = (previous IS NULL))
);
CREATE TABLE policy_signatures (
    number BIGINT NOT NULL REFERENCES policy_revisions (number),
    publisher TEXT NOT NULL,
    signature TEXT NOT NULL,
    signed_at BIGINT NOT NULL,
    PRIMARY KEY (number, publisher, signature)
);

CREATE TABLE decisions (
    payout_key TEXT NOT NULL REFERENCES payouts (payout_key),
    seq BIGINT NOT NULL CHECK (seq >= 1),
    at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    verdict TEXT NOT NULL,
    decision TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (payout_key, seq)
);

-- `counts_at` is the time a reservation counts from: the end of time while it is open, so that it is in every window, the
-- time of its Confirm once it is spent, and none when it is released.
CREATE TABLE reservations (
    payout_key TEXT NOT NULL PRIMARY KEY REFERENCES payouts (payout_key),
    chain TEXT NOT NULL,
    asset TEXT NOT NULL,
    program TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    wallet TEXT NOT NULL,
    country TEXT NOT NULL,
    currency TEXT NOT NULL,
    purpose TEXT NOT NULL,
    source TEXT NOT NULL,
    amount TEXT NOT NULL,
    usd BIGINT CHECK (usd >= 0),
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'spent', 'released')),
    asked_at BIGINT NOT NULL,
    taken_at BIGINT NOT NULL,
    counts_at BIGINT DEFAULT 9223372036854775807,
    settled_at BIGINT,
    why TEXT,
    CHECK ((state = 'open') = (counts_at IS NOT NULL AND counts_at = 9223372036854775807)),
    CHECK ((state = 'released') = (counts_at IS NULL)),
    CHECK ((state = 'open') = (settled_at IS NULL)),
    CHECK ((state = 'open') = (why IS NULL))
);
-- These hold all that is counted, so that no row has to be fetched.
CREATE INDEX reservations_counting
    ON reservations (counts_at, usd, chain, asset, country, currency, purpose, source, payout_key);
CREATE INDEX reservations_of_counterparty ON reservations (counterparty, counts_at, usd, payout_key);
CREATE INDEX reservations_of_program ON reservations (program, counts_at, asked_at, usd, payout_key);
CREATE INDEX reservations_of_wallet ON reservations (wallet, counts_at, usd, payout_key);
CREATE INDEX reservations_lately_to ON reservations (counterparty, asked_at, payout_key);
CREATE INDEX reservations_lately_by ON reservations (program, asked_at, payout_key);
CREATE INDEX reservations_corridors ON reservations (country, currency) WHERE state = 'spent';
CREATE INDEX reservations_open ON reservations (taken_at, payout_key) WHERE state = 'open';
CREATE INDEX reservations_in_flight ON reservations (wallet, asset) WHERE state = 'open';

-- Its row is locked while limits are counted and a reservation is taken.
CREATE TABLE limits_lock (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1)
);
INSERT INTO limits_lock (id) VALUES (1);

CREATE TABLE approvals (
    payout_key TEXT NOT NULL REFERENCES payouts (payout_key),
    person TEXT NOT NULL,
    grp TEXT NOT NULL,
    nr BIGINT NOT NULL CHECK (nr >= 1),
    value TEXT NOT NULL CHECK (value IN ('approve', 'deny')),
    statement TEXT NOT NULL,
    signature TEXT NOT NULL,
    revision TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (payout_key, person, grp, nr)
);
CREATE TABLE approvals_void (
    payout_key TEXT NOT NULL,
    person TEXT NOT NULL,
    grp TEXT NOT NULL,
    nr BIGINT NOT NULL,
    at BIGINT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (payout_key, person, grp, nr),
    FOREIGN KEY (payout_key, person, grp, nr) REFERENCES approvals (payout_key, person, grp, nr)
);

CREATE TABLE audit (
    seq BIGINT NOT NULL PRIMARY KEY CHECK (seq >= 1),
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    payout_key TEXT,
    body TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE
);
CREATE INDEX audit_of_payout ON audit (payout_key, seq) WHERE payout_key IS NOT NULL;
-- Its row is locked while a record is appended; only the trigger of `audit` moves it.
CREATE TABLE audit_head (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_head (id, seq, hash)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
CREATE TABLE audit_checkpoints (
    seq BIGINT NOT NULL REFERENCES audit (seq),
    hash TEXT NOT NULL,
    at BIGINT NOT NULL,
    key TEXT NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (seq, key, signature)
);

CREATE TRIGGER policy_revisions_rows_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON policy_revisions
FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
CREATE TRIGGER policy_signatures_rows_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON policy_signatures
FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
CREATE TRIGGER decisions_rows_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON decisions
FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
CREATE TRIGGER approvals_rows_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON approvals
FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
CREATE TRIGGER approvals_void_rows_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON approvals_void
FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
CREATE TRIGGER audit_rows_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
CREATE TRIGGER audit_checkpoints_rows_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints
FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
CREATE TRIGGER reservations_rows_are_kept BEFORE DELETE OR TRUNCATE ON reservations
FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
CREATE TRIGGER audit_head_rows_are_kept BEFORE DELETE OR TRUNCATE ON audit_head
FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
CREATE TRIGGER limits_lock_rows_are_kept BEFORE DELETE OR TRUNCATE ON limits_lock
FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();

CREATE TRIGGER reservations_are_settled_once BEFORE UPDATE ON reservations
FOR EACH ROW WHEN (
    NEW.payout_key IS DISTINCT FROM OLD.payout_key
    OR NEW.chain IS DISTINCT FROM OLD.chain
    OR NEW.asset IS DISTINCT FROM OLD.asset
    OR NEW.program IS DISTINCT FROM OLD.program
    OR NEW.counterparty IS DISTINCT FROM OLD.counterparty
    OR NEW.wallet IS DISTINCT FROM OLD.wallet
    OR NEW.country IS DISTINCT FROM OLD.country
    OR NEW.currency IS DISTINCT FROM OLD.currency
    OR NEW.purpose IS DISTINCT FROM OLD.purpose
    OR NEW.source IS DISTINCT FROM OLD.source
    OR NEW.amount IS DISTINCT FROM OLD.amount
    OR NEW.asked_at IS DISTINCT FROM OLD.asked_at
    OR NEW.taken_at IS DISTINCT FROM OLD.taken_at
    OR (OLD.state <> 'open' AND NEW.state IS DISTINCT FROM OLD.state)
    OR (OLD.state <> 'open' AND NEW.usd IS DISTINCT FROM OLD.usd)
    OR (OLD.state <> 'open' AND NEW.counts_at IS DISTINCT FROM OLD.counts_at)
    OR (OLD.state <> 'open' AND NEW.settled_at IS DISTINCT FROM OLD.settled_at)
    OR (OLD.state <> 'open' AND NEW.why IS DISTINCT FROM OLD.why)
)
EXECUTE FUNCTION rows_are_kept();

-- A record goes on from the newest one, or is refused. With the rights of the owner, since nobody else may move the head.
CREATE FUNCTION audit_goes_on() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moved BIGINT;
BEGIN
    EXECUTE format('UPDATE %I.audit_head SET seq = $1, hash = $2 WHERE seq = $1 - 1 AND hash = $3', TG_TABLE_SCHEMA)
    USING NEW.seq, NEW.hash, NEW.previous;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> 1 THEN
        RAISE EXCEPTION 'audit goes on from its newest record alone';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER audit_goes_on BEFORE INSERT ON audit
FOR EACH ROW EXECUTE FUNCTION audit_goes_on();
CREATE TRIGGER audit_head_goes_on BEFORE UPDATE ON audit_head
FOR EACH ROW WHEN (
    NEW.seq NOT IN (OLD.seq, OLD.seq + 1)
    OR (NEW.seq = OLD.seq AND NEW.hash <> OLD.hash)
)
EXECUTE FUNCTION rows_are_kept();
