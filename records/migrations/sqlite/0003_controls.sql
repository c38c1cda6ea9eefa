-- What a policy decides, what limits count, what people sign, and a record of it all. See README.md.

CREATE TABLE policy_revisions (
    number INTEGER NOT NULL PRIMARY KEY CHECK (number >= 1),
    hash TEXT NOT NULL UNIQUE,
    previous TEXT REFERENCES policy_revisions (hash),
    content TEXT NOT NULL,
    author TEXT NOT NULL,
    note TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    CHECK ((number = 1) = (previous IS NULL))
);
CREATE TABLE policy_signatures (
    number INTEGER NOT NULL REFERENCES policy_revisions (number),
    publisher TEXT NOT NULL,
    signature TEXT NOT NULL,
    signed_at INTEGER NOT NULL,
    PRIMARY KEY (number, publisher, signature)
);

CREATE TABLE decisions (
    payout_key TEXT NOT NULL REFERENCES payouts (payout_key),
    seq INTEGER NOT NULL CHECK (seq >= 1),
    at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
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
    usd INTEGER CHECK (usd >= 0),
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'spent', 'released')),
    asked_at INTEGER NOT NULL,
    taken_at INTEGER NOT NULL,
    counts_at INTEGER DEFAULT 9223372036854775807,
    settled_at INTEGER,
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
    nr INTEGER NOT NULL CHECK (nr >= 1),
    value TEXT NOT NULL CHECK (value IN ('approve', 'deny')),
    statement TEXT NOT NULL,
    signature TEXT NOT NULL,
    revision TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (payout_key, person, grp, nr)
);
CREATE TABLE approvals_void (
    payout_key TEXT NOT NULL,
    person TEXT NOT NULL,
    grp TEXT NOT NULL,
    nr INTEGER NOT NULL,
    at INTEGER NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (payout_key, person, grp, nr),
    FOREIGN KEY (payout_key, person, grp, nr) REFERENCES approvals (payout_key, person, grp, nr)
);

CREATE TABLE audit (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq >= 1),
    at INTEGER NOT NULL,
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
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_head (id, seq, hash)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
CREATE TABLE audit_checkpoints (
    seq INTEGER NOT NULL REFERENCES audit (seq),
    hash TEXT NOT NULL,
    at INTEGER NOT NULL,
    key TEXT NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (seq, key, signature)
);

CREATE TRIGGER policy_revisions_rows_are_written_once BEFORE UPDATE ON policy_revisions
BEGIN
    SELECT RAISE(ABORT, 'rows of policy_revisions are written once and kept for ever');
END;
CREATE TRIGGER policy_revisions_rows_are_kept BEFORE DELETE ON policy_revisions
BEGIN
    SELECT RAISE(ABORT, 'rows of policy_revisions are written once and kept for ever');
END;

CREATE TRIGGER policy_signatures_rows_are_written_once BEFORE UPDATE ON policy_signatures
BEGIN
    SELECT RAISE(ABORT, 'rows of policy_signatures are written once and kept for ever');
END;
CREATE TRIGGER policy_signatures_rows_are_kept BEFORE DELETE ON policy_signatures
BEGIN
    SELECT RAISE(ABORT, 'rows of policy_signatures are written once and kept for ever');
END;

CREATE TRIGGER decisions_rows_are_written_once BEFORE UPDATE ON decisions
BEGIN
    SELECT RAISE(ABORT, 'rows of decisions are written once and kept for ever');
END;
CREATE TRIGGER decisions_rows_are_kept BEFORE DELETE ON decisions
BEGIN
    SELECT RAISE(ABORT, 'rows of decisions are written once and kept for ever');
END;

CREATE TRIGGER approvals_rows_are_written_once BEFORE UPDATE ON approvals
BEGIN
    SELECT RAISE(ABORT, 'rows of approvals are written once and kept for ever');
END;
CREATE TRIGGER approvals_rows_are_kept BEFORE DELETE ON approvals
BEGIN
    SELECT RAISE(ABORT, 'rows of approvals are written once and kept for ever');
END;

CREATE TRIGGER approvals_void_rows_are_written_once BEFORE UPDATE ON approvals_void
BEGIN
    SELECT RAISE(ABORT, 'rows of approvals_void are written once and kept for ever');
END;
CREATE TRIGGER approvals_void_rows_are_kept BEFORE DELETE ON approvals_void
BEGIN
    SELECT RAISE(ABORT, 'rows of approvals_void are written once and kept for ever');
END;

CREATE TRIGGER audit_rows_are_written_once BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'rows of audit are written once and kept for ever');
END;
CREATE TRIGGER audit_rows_are_kept BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'rows of audit are written once and kept for ever');
END;

CREATE TRIGGER audit_checkpoints_rows_are_written_once BEFORE UPDATE ON audit_checkpoints
BEGIN
    SELECT RAISE(ABORT, 'rows of audit_checkpoints are written once and kept for ever');
END;
CREATE TRIGGER audit_checkpoints_rows_are_kept BEFORE DELETE ON audit_checkpoints
BEGIN
    SELECT RAISE(ABORT, 'rows of audit_checkpoints are written once and kept for ever');
END;

CREATE TRIGGER reservations_rows_are_kept BEFORE DELETE ON reservations
BEGIN
    SELECT RAISE(ABORT, 'rows of reservations are written once and kept for ever');
END;

CREATE TRIGGER audit_head_rows_are_kept BEFORE DELETE ON audit_head
BEGIN
    SELECT RAISE(ABORT, 'rows of audit_head are written once and kept for ever');
END;

CREATE TRIGGER limits_lock_rows_are_kept BEFORE DELETE ON limits_lock
BEGIN
    SELECT RAISE(ABORT, 'rows of limits_lock are written once and kept for ever');
END;

CREATE TRIGGER reservations_are_settled_once BEFORE UPDATE ON reservations
WHEN NEW.payout_key IS NOT OLD.payout_key
    OR NEW.chain IS NOT OLD.chain
    OR NEW.asset IS NOT OLD.asset
    OR NEW.program IS NOT OLD.program
    OR NEW.counterparty IS NOT OLD.counterparty
    OR NEW.wallet IS NOT OLD.wallet
    OR NEW.country IS NOT OLD.country
    OR NEW.currency IS NOT OLD.currency
    OR NEW.purpose IS NOT OLD.purpose
    OR NEW.source IS NOT OLD.source
    OR NEW.amount IS NOT OLD.amount
    OR NEW.asked_at IS NOT OLD.asked_at
    OR NEW.taken_at IS NOT OLD.taken_at
    OR (OLD.state <> 'open' AND NEW.state IS NOT OLD.state)
    OR (OLD.state <> 'open' AND NEW.usd IS NOT OLD.usd)
    OR (OLD.state <> 'open' AND NEW.counts_at IS NOT OLD.counts_at)
    OR (OLD.state <> 'open' AND NEW.settled_at IS NOT OLD.settled_at)
    OR (OLD.state <> 'open' AND NEW.why IS NOT OLD.why)
BEGIN
    SELECT RAISE(ABORT, 'rows of reservations are written once and kept for ever');
END;

-- A record goes on from the newest one, or is refused.
CREATE TRIGGER audit_goes_on BEFORE INSERT ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit goes on from its newest record alone')
    WHERE NOT EXISTS (SELECT 1 FROM audit_head WHERE seq = NEW.seq - 1 AND hash = NEW.previous);
    UPDATE audit_head SET seq = NEW.seq, hash = NEW.hash;
END;
CREATE TRIGGER audit_head_goes_on BEFORE UPDATE ON audit_head
WHEN NEW.seq NOT IN (OLD.seq, OLD.seq + 1)
    OR (NEW.seq = OLD.seq AND NEW.hash <> OLD.hash)
BEGIN
    SELECT RAISE(ABORT, 'rows of audit_head are written once and kept for ever');
END;
