"""The durable journal: an SQLite database whose tables are explained in schema.sql.

    place.py    where a database lies: folders, modes, whose it is, and making one
    lock.py     the lock around everything that writes
    rows.py     what a row looks like: checksums, packing, SQLite's errors in our words
    writing.py  what happens inside a write transaction
    sqlite.py   SqliteJournal: many sagas share a transaction (group commit)
    pruning.py  which sagas have ended, and their deletion
    listing.py  lists of sagas, and what of a damaged one can be trusted
    reading.py  Reader: looks without writing
    checking.py whether all of it is as it was written

Rule: `reading` and what it imports do not know asyncio, which would cost every look 40 ms.
"""
