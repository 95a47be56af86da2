"""What the Python programs share: the statements, the row they write, and how they report a step.

A program connects by the PG* variables of its environment. It prints a line for each step that went as it should and ends with
the first that did not.
"""

import datetime
import decimal
import uuid

PUSH = "SELECT n, word FROM {name}_events EMIT CHANGES"


def create(name):
    """The statements that make a program's own table and stream."""
    return [
        f"DROP TABLE IF EXISTS {name}_items CASCADE",
        f"DROP STREAM IF EXISTS {name}_events CASCADE DELETE TOPIC",
        f"CREATE TABLE {name}_items (id INT PRIMARY KEY, small SMALLINT, big BIGINT, price NUMERIC(12,2), ratio DOUBLE PRECISION, ok BOOLEAN,"
        " name TEXT, at TIMESTAMPTZ, day DATE, code UUID, raw BYTEA, tags TEXT[])",
        f"CREATE STREAM {name}_events (n INT, word TEXT)",
        f"INSERT INTO {name}_events VALUES (1, 'one'), (2, 'two'), (3, 'three')",
    ]


COLUMNS = ["id", "small", "big", "price", "ratio", "ok", "name", "at", "day", "code", "raw", "tags"]

ROW = (
    7,
    -3,
    9_007_199_254_740_993,
    decimal.Decimal("12345.67"),
    0.1,
    True,
    "naïve ☃ 'quoted' \\",
    datetime.datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=datetime.timezone.utc),
    datetime.date(2026, 3, 1),
    uuid.UUID("6f1c1c64-8f3a-4d7b-9e55-0a4b6a2d9f10"),
    b"\x00\x01\xfe\xff",
    ["a", "b,c", 'd"e'],
)

NULLS = (8,) + (None,) * 11


def step(name):
    print("ok", name, flush=True)


def equal(have, want, what):
    if have != want:
        raise AssertionError(f"{what}: have {have!r}, want {want!r}")


def fails(code, call, what):
    """Runs call, which must fail with the SQLSTATE code."""
    try:
        call()
    except Exception as e:  # each driver has a class of its own
        equal(sqlstate(e), code, f"{what}: {e}")
        return e
    raise AssertionError(f"{what}: no error, want {code}")


def sqlstate(e):
    for name in ("sqlstate", "pgcode"):
        if getattr(e, name, None):
            return getattr(e, name)
    if getattr(e, "orig", None) is not None:
        return sqlstate(e.orig)
    return e.args[0] if e.args else None
