-- The journal of sagactl. A saga is its events; everything else here can be made again from them.
--
--   definitions  what sagas are made of: the YAML after validation, as JSON. One row for each different text, named by
--                the SHA-256 of that text in hex. Never changed; it goes with the last saga that is made of it.
--   sagas        one row a saga, so that lists need not read events. `key` is ours and small; `id` is what people type;
--                `token` is random and names the evidence folder of the saga.
--   events       what happened, in order: `seq` counts from 1 without gaps within a saga. Only ever added to.
--   requests     a person asks the process that holds a saga to turn it round. Removed once answered.
--   counts       sagas by state, kept by triggers: counting a million rows takes 40 ms. Decides
--                nothing, but a list of all sagas of a state must have as many rows.
--
-- Who writes: sagactl alone, under an flock on <database>.d/write.lock, in transactions begun IMMEDIATE. A saga is
-- written by the process that holds its own lock; `seq` is the fence: who expects another number than it finds was
-- overtaken and writes nothing.
--
-- How rows are trusted: SQLite does not notice a flipped bit. So each event has the CRC-32 of its saga's token, its seq,
-- type and data (a row that was moved elsewhere fails too). A CRC of one row can't notice rows that vanish: `sagas.chain`
-- is the CRC-32 over the CRCs of all events of the saga in order, and `sagas.seq` says how many there are. `sagas.crc`
-- is that of the saga's own row. rows.py has the arithmetic.
--
-- events.data is JSON text. A text over 512 bytes (a saga's start, long output) is a BLOB instead: the same, deflated
-- by zlib. `sagactl events SAGA` shows either. Times are Unix seconds.
--
-- The page size is set by the code that makes the database (place.py), with the application id and the version, and that
-- pages which become free can be given back to the file system piece by piece.

CREATE TABLE definitions (
    hash TEXT NOT NULL PRIMARY KEY,
    json TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sagas (
    key         INTEGER PRIMARY KEY,      -- grows with time: "newest" is the highest key
    id          TEXT NOT NULL UNIQUE,     -- its index also finds prefixes
    token       TEXT NOT NULL,
    name        TEXT NOT NULL,            -- of the definition
    definition  TEXT NOT NULL,            -- hash
    state       TEXT NOT NULL,
    seq         INTEGER NOT NULL,         -- number of events
    chain       INTEGER NOT NULL,         -- CRC-32 over the CRCs of the events
    created_s   REAL NOT NULL,
    changed_s   REAL NOT NULL,
    steps_done  INTEGER NOT NULL,         -- committed, skipped or kept
    steps_total INTEGER NOT NULL,
    why         TEXT NOT NULL,            -- the last failure, or what needs a person; short
    crc         INTEGER NOT NULL          -- CRC-32 of this row
) STRICT;

-- Its entries end with the key, so each state is already in order of age: "newest 20 of these states" reads 20 rows.
CREATE INDEX sagas_by_state ON sagas (state);

-- When final sagas ended: `prune --older-than` and `list --since` read no others. Unfinished ones change too often.
CREATE INDEX sagas_by_end ON sagas (state, changed_s) WHERE state IN ('completed', 'compensated', 'abandoned');

-- Whether a definition still has a saga. The beginning of its hash is enough to find them.
CREATE INDEX sagas_by_definition ON sagas (substr(definition, 1, 8));

CREATE TABLE events (
    saga INTEGER NOT NULL,                -- sagas.key
    seq  INTEGER NOT NULL,
    type TEXT NOT NULL,                   -- a name of core/codec.py
    data ANY NOT NULL,                    -- JSON as TEXT, or deflated as BLOB
    crc  INTEGER NOT NULL,
    PRIMARY KEY (saga, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
    key    INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: holders remember which they have answered
    saga   INTEGER NOT NULL,
    by     TEXT NOT NULL,                      -- who, as JSON
    reason TEXT NOT NULL
) STRICT;

CREATE TABLE counts (
    state TEXT NOT NULL PRIMARY KEY,
    sagas INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Append-only. An event goes only when its saga has gone; REPLACE would delete without a trigger, so it is refused.

CREATE TRIGGER events_never_change BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events never change'); END;

CREATE TRIGGER events_are_added_once BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE saga = new.saga AND seq = new.seq)
BEGIN SELECT RAISE(ABORT, 'events never change'); END;

CREATE TRIGGER events_go_with_their_saga BEFORE DELETE ON events
WHEN EXISTS (SELECT 1 FROM sagas WHERE key = old.saga)
BEGIN SELECT RAISE(ABORT, 'events go only with their saga'); END;

CREATE TRIGGER definitions_never_change BEFORE UPDATE ON definitions
BEGIN SELECT RAISE(ABORT, 'definitions never change'); END;

CREATE TRIGGER sagas_keep_their_names BEFORE UPDATE OF key, id, token, name, definition ON sagas
BEGIN SELECT RAISE(ABORT, 'a saga keeps its names'); END;

CREATE TRIGGER sagas_come AFTER INSERT ON sagas
BEGIN
    INSERT INTO counts VALUES (new.state, 1) ON CONFLICT DO UPDATE SET sagas = sagas + 1;
END;

CREATE TRIGGER sagas_move AFTER UPDATE OF state ON sagas WHEN old.state <> new.state
BEGIN
    UPDATE counts SET sagas = sagas - 1 WHERE state = old.state;
    INSERT INTO counts VALUES (new.state, 1) ON CONFLICT DO UPDATE SET sagas = sagas + 1;
END;

CREATE TRIGGER sagas_go AFTER DELETE ON sagas
BEGIN
    DELETE FROM events WHERE saga = old.key;
    DELETE FROM requests WHERE saga = old.key;
    DELETE FROM definitions WHERE hash = old.definition AND NOT EXISTS (
        SELECT 1 FROM sagas
        WHERE substr(definition, 1, 8) = substr(old.definition, 1, 8)
          AND +definition = old.definition  -- without `+` SQLite puts the value into substr() as well, and knows no index
    );
    UPDATE counts SET sagas = sagas - 1 WHERE state = old.state;
END;
