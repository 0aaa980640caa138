"""A small real shop for the saga of order.yaml: stock, payments, parcels and mails in one SQLite file.

Each command is one transaction. The rules that let a saga be killed at any instant:

- An action is known by its $SAGA_IDEMPOTENCY_KEY: a second call with the same key changes nothing and gives the first
  one's answer. By hand, without that variable, an order's name and the command are the key.
- An undo takes back whatever stands for the order. Nothing there, or taken back before, is a success.
- A check changes nothing.

The file is $SHOP_FILE, else $SHOP_DB, else $XDG_STATE_HOME/sagactl-shop/shop.db (~/.local/state); made on first use.

Exit codes: 0 done, or `yes` of a check; 1 the shop refuses, or `no` of a check; 2 usage; 3 the file can't be used just
now, so that nothing is known and another attempt is worth it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

BUSY_S = 5.0
"""How long a command waits for another one's transaction: below the 30 s that order.yaml gives to an attempt."""

CARD_LIMIT_CENTS = 1_000_00
CARRIERS = ("dhl", "ups")
QUANTITY_MAX = 1000
LEDGER_ROWS_MAX = 10

SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS stock (item TEXT PRIMARY KEY, quantity INT, cents INT);
CREATE TABLE IF NOT EXISTS reservations (id TEXT PRIMARY KEY, order_id TEXT, item TEXT, quantity INT, stands INT);
CREATE TABLE IF NOT EXISTS payments (id TEXT PRIMARY KEY, order_id TEXT, cents INT, stands INT);
CREATE TABLE IF NOT EXISTS parcels (id TEXT PRIMARY KEY, order_id TEXT, carrier TEXT, stands INT);
CREATE TABLE IF NOT EXISTS mails (id TEXT PRIMARY KEY, order_id TEXT, text TEXT, stands INT);
INSERT OR IGNORE INTO stock VALUES ('lamp', 100000, 4900), ('globe', 3, 18000);
PRAGMA user_version = 1;
COMMIT;
"""

ADDS = {
    "reserve": ("INSERT OR IGNORE INTO reservations VALUES (?, ?, ?, ?, 1)", "SELECT * FROM reservations WHERE id = ?"),
    "charge": ("INSERT OR IGNORE INTO payments VALUES (?, ?, ?, 1)", "SELECT * FROM payments WHERE id = ?"),
    "ship": ("INSERT OR IGNORE INTO parcels VALUES (?, ?, ?, 1)", "SELECT * FROM parcels WHERE id = ?"),
    "notify": ("INSERT OR IGNORE INTO mails VALUES (?, ?, ?, 1)", "SELECT * FROM mails WHERE id = ?"),
}
UNDOS = {
    "release": "UPDATE reservations SET stands = 0 WHERE order_id = ? AND stands",
    "refund": "UPDATE payments SET stands = 0 WHERE order_id = ? AND stands",
    "recall": "UPDATE parcels SET stands = 0 WHERE order_id = ? AND stands",
}
CHECKS = {
    "holds": "SELECT count(*) FROM reservations WHERE order_id = ? AND stands",
    "charged": "SELECT count(*) FROM payments WHERE order_id = ? AND stands",
    "shipped": "SELECT count(*) FROM parcels WHERE order_id = ? AND stands",
}

FREE = """
SELECT quantity - (SELECT ifnull(sum(quantity), 0) FROM reservations AS r WHERE r.item = stock.item AND stands)
FROM stock WHERE item = ?
"""
SHELVES = """
SELECT stock.item, stock.quantity - ifnull(sum(held.quantity * held.sent), 0),
       ifnull(sum(held.quantity * (1 - held.sent)), 0), stock.cents
FROM stock LEFT JOIN (
    SELECT item, quantity, EXISTS (SELECT 1 FROM parcels WHERE parcels.order_id = r.order_id AND parcels.stands) AS sent
    FROM reservations AS r WHERE stands
) AS held USING (item) GROUP BY stock.item ORDER BY stock.item
"""
PRICE = "SELECT reservations.quantity * cents FROM reservations JOIN stock USING (item) WHERE id = ? AND stands"
MONEY = "SELECT ifnull(sum(cents), 0) FROM payments WHERE stands"
PAYMENTS = "SELECT id, order_id, cents, stands FROM payments ORDER BY rowid DESC LIMIT ?"
PARCELS = "SELECT id, order_id, carrier, stands FROM parcels ORDER BY rowid DESC LIMIT ?"

Handler: TypeAlias = Callable[[sqlite3.Connection, argparse.Namespace], int]


class RefusedError(Exception):
    """The shop says no, and will say so again."""


def main() -> int:
    """Run one command and return its exit code."""
    args = _parser().parse_args()
    time.sleep(args.answer_after)
    try:
        with closing(_open()) as shop, shop:
            shop.execute("BEGIN" if args.reads else "BEGIN IMMEDIATE")
            return int(args.handler(shop, args))
    except RefusedError as refusal:
        print(f"shop: {refusal}", file=sys.stderr)
        return 1
    except (OSError, sqlite3.Error) as error:
        print(f"shop: {_file()}: {error}", file=sys.stderr)
        return 3


def reserve(shop: sqlite3.Connection, args: argparse.Namespace) -> int:
    """Hold a quantity of an item for an order."""
    if not 1 <= args.quantity <= QUANTITY_MAX:
        raise RefusedError(f"{args.quantity} of {args.item} wanted: an order is for 1 to {QUANTITY_MAX}")
    number = _add(shop, args, args.item, args.quantity)
    free = shop.execute(FREE, (args.item,)).fetchone()
    if free is None:
        raise RefusedError(f"there is no item {args.item!r}")
    if free[0] < 0:
        raise RefusedError(f"{args.quantity} of {args.item} wanted, {free[0] + args.quantity} free")
    _output("reservation_id", number)
    return 0


def charge(shop: sqlite3.Connection, args: argparse.Namespace) -> int:
    """Charge what a reservation costs."""
    found = shop.execute(PRICE, (args.reservation,)).fetchone()
    if found is None:
        raise RefusedError(f"nothing is reserved under {args.reservation!r}")
    if found[0] > CARD_LIMIT_CENTS:
        raise RefusedError(f"card declined: {_money(found[0])} is over its limit of {_money(CARD_LIMIT_CENTS)}")
    _output("charge_id", _add(shop, args, found[0]))
    return 0


def ship(shop: sqlite3.Connection, args: argparse.Namespace) -> int:
    """Book a parcel for an order that is paid; its tracking number goes to stdout as JSON."""
    if args.carrier not in CARRIERS:
        raise RefusedError(f"{args.carrier} takes no parcels; {' and '.join(CARRIERS)} do")
    if not shop.execute(CHECKS["charged"], (args.order,)).fetchone()[0]:
        raise RefusedError(f"order {args.order} is not paid")
    print(json.dumps({"carrier": args.carrier, "tracking": _add(shop, args, args.carrier)}))
    return 0


def notify(shop: sqlite3.Connection, args: argparse.Namespace) -> int:
    """Put a mail for the customer into the outbox, once."""
    if "@" not in args.to:
        raise RefusedError(f"{args.to!r} is no mail address")
    text = f"To {args.to}: order {args.order} is on its way, parcel {args.tracking}"
    print(f"{_add(shop, args, text)} {text}")
    return 0


def undo(shop: sqlite3.Connection, args: argparse.Namespace) -> int:
    """Take back what stands for an order."""
    count = shop.execute(UNDOS[args.command], (args.order,)).rowcount
    print(f"{args.command}: {'done' if count else 'nothing to do'} for order {args.order}")
    return 0


def check(shop: sqlite3.Connection, args: argparse.Namespace) -> int:
    """0 if the effect stands for an order, 1 if it does not."""
    stands = shop.execute(CHECKS[args.command], (args.order,)).fetchone()[0] > 0
    print("yes" if stands else "no")
    return 0 if stands else 1


def ledger(shop: sqlite3.Connection, _args: argparse.Namespace) -> int:
    """Show what stands: stock and money first, then the newest payments and parcels."""
    for item, quantity, reserved, cents in shop.execute(SHELVES):
        print(f"stock    {item:<6} {quantity:>6} on the shelf, {reserved} reserved, {_money(cents)} each")
    print(f"money    {_money(shop.execute(MONEY).fetchone()[0])}")
    for number, order, cents, stands in shop.execute(PAYMENTS, (LEDGER_ROWS_MAX,)):
        print(f"payment  {number} of order {order}: {_money(cents)} {'charged' if stands else 'refunded'}")
    for number, order, carrier, stands in shop.execute(PARCELS, (LEDGER_ROWS_MAX,)):
        print(f"parcel   {number} of order {order}: {'shipped' if stands else 'recalled'} by {carrier}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0], allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, handler: Handler, *options: str, reads: bool = False) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=str(handler.__doc__).rstrip("."), allow_abbrev=False)
        added.set_defaults(handler=handler, reads=reads, answer_after=0.0)
        for option in options:
            added.add_argument(f"--{option}", required=True)
        return added

    command("reserve", reserve, "order", "item").add_argument("--quantity", type=int, required=True)
    command("charge", charge, "order", "reservation")
    command("ship", ship, "order", "carrier").add_argument("--answer-after", type=float, default=0.0, metavar="S")
    command("notify", notify, "order", "to", "tracking")
    for name in UNDOS:
        command(name, undo, "order")
    for name in CHECKS:
        command(name, check, "order", reads=True)
    command("ledger", ledger, reads=True)
    return parser


def _file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    chosen = os.environ.get("SHOP_FILE") or os.environ.get("SHOP_DB")
    return Path(chosen) if chosen else Path(state) / "sagactl-shop" / "shop.db"


def _open() -> sqlite3.Connection:
    """The shop's file. Two processes may make it at once: SCHEMA is safe to repeat."""
    path = _file()
    if not path.is_absolute():
        raise OSError("not an absolute path, so each folder would have a shop of its own")
    path.parent.mkdir(parents=True, exist_ok=True)
    shop = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    if shop.execute("PRAGMA user_version").fetchone()[0] == 0:
        shop.executescript(SCHEMA)
    return shop


def _add(shop: sqlite3.Connection, args: argparse.Namespace, *values: str | int) -> str:
    """Add the row of an action unless an attempt before did. The number of the row is made from the key, not drawn."""
    key = os.environ.get("SAGA_IDEMPOTENCY_KEY") or f"{args.order}/{args.command}"
    number = f"{args.command[0].upper()}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"
    row = (number, args.order, *values)
    insert, select = ADDS[args.command]
    shop.execute(insert, row)
    *known, stands = shop.execute(select, (number,)).fetchone()
    if tuple(known) != row:
        raise RefusedError(f"the key of {number} was used for a different request")
    if not stands:
        raise RefusedError(f"{number} was taken back and does not come again")
    return number


def _output(name: str, value: str) -> None:
    """Hand a value to the saga, inside the transaction: what is committed has its output. By hand: to the terminal."""
    folder = os.environ.get("SAGA_OUTPUT_DIR")
    if folder:
        (Path(folder) / name).write_text(f"{value}\n", encoding="utf-8")
    else:
        print(f"{name} {value}")


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02} EUR"


if __name__ == "__main__":
    sys.exit(main())
