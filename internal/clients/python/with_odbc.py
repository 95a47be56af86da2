import os
import threading

import pyodbc

from common import COLUMNS, NULLS, ROW, create, equal, fails, step

NAME = "odbc"
ITEMS = f"{NAME}_items"


def connect(**options):
    """ODBC reads no PG* variables but those that libpq does for it."""
    fields = {
        "Driver": os.environ["ODBC_DRIVER"],
        "Server": os.environ["PGHOST"],
        "Port": os.environ["PGPORT"],
        "Database": os.environ["PGDATABASE"],
        "UID": os.environ["PGUSER"],
        "PWD": os.environ.get("PGPASSWORD", ""),
        "SSLmode": os.environ.get("PGSSLMODE", "disable"),
        **options,
    }
    return pyodbc.connect(";".join(f"{k}={v}" for k, v in fields.items()), autocommit=True)


def main():
    conn = connect()
    equal(conn.getinfo(pyodbc.SQL_DBMS_NAME), "PostgreSQL", "server")
    step("connect")

    cur = conn.cursor()
    for statement in create(NAME):
        cur.execute(statement)
    step("create")

    columns = COLUMNS[:10]  # ODBC has no arrays, and bytea below
    insert = f"INSERT INTO {ITEMS} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    row = ROW[:10]
    values = tuple(v.replace(tzinfo=None) if v is ROW[7] else v for v in row)  # ODBC's timestamps have no zone; the session's is UTC
    equal(cur.execute(insert, values).rowcount, 1, "rows of INSERT")
    cur.executemany(insert, [NULLS[:10], (9,) + values[1:]])
    cur.execute(f"UPDATE {ITEMS} SET raw = ? WHERE id = ?", ROW[10], 7)
    step("insert")

    have = [tuple(r) for r in cur.execute(f"SELECT {', '.join(columns)} FROM {ITEMS} WHERE id < ? ORDER BY id", 9)]
    equal(have[1], NULLS[:10], "row of NULLs")
    equal([str(a) if i == 9 else a for i, a in enumerate(have[0])][:5], list(values[:5]), "values")
    equal([d[0] for d in cur.description], columns, "names")
    equal(bytes(cur.execute(f"SELECT raw FROM {ITEMS} WHERE id = 7").fetchval()), ROW[10], "bytes")
    step("read")

    names = [t.table_name for t in cur.tables(schema="public", tableType="TABLE")]
    assert ITEMS in names, names
    equal([c.column_name for c in cur.columns(table=ITEMS)], COLUMNS, "columns of the catalog")
    equal([c.column_name for c in cur.primaryKeys(table=ITEMS)], ["id"], "key of the catalog")
    equal(len(list(cur.statistics(table=ITEMS))) > 0, True, "indexes of the catalog")
    equal(list(cur.foreignKeys(table=ITEMS)), [], "foreign keys of the catalog")
    step("catalog")

    declare = connect(UseDeclareFetch="1", Fetch="100")
    declare.autocommit = False
    ids = [r[0] for r in declare.cursor().execute("SELECT generate_series FROM generate_series(1, 1000)")]
    equal(ids, list(range(1, 1001)), "rows of a cursor")
    declare.commit()
    step("cursor")

    fails("23505", lambda: cur.execute(insert, values), "the same key twice")
    fails("42P01", lambda: cur.execute("SELECT * FROM nowhere"), "no such table")
    conn.autocommit = False
    fails("22012", lambda: cur.execute("SELECT 1 / 0").fetchall(), "division by zero")
    conn.rollback()
    cur.execute(f"DELETE FROM {ITEMS}")
    conn.rollback()
    conn.autocommit = True
    equal(cur.execute(f"SELECT count(*) FROM {ITEMS}").fetchval(), 3, "rows after ROLLBACK")
    step("errors")

    push(conn)
    conn.close()
    declare.close()


def push(conn):
    pushing = connect(UseDeclareFetch="1", Fetch="1")
    pushing.autocommit = False
    cur = pushing.cursor()
    cur.execute("SET auto_offset_reset = 'earliest'")
    cur.execute(f"SELECT n FROM {NAME}_events EMIT CHANGES")
    seen = [cur.fetchone()[0] for _ in range(3)]
    conn.cursor().execute(f"INSERT INTO {NAME}_events VALUES (?, ?)", 4, "four")
    seen.append(cur.fetchone()[0])
    equal(sorted(seen), [1, 2, 3, 4], "pushed")
    pushing.rollback()
    pushing.close()
    step("push")

    cur = conn.cursor()
    timer = threading.Timer(0.5, cur.cancel)
    timer.start()
    fails("57014", lambda: cur.execute(f"SELECT n FROM {NAME}_events WHERE n > 4 EMIT CHANGES").fetchall(), "cancel")
    timer.join()
    equal(conn.cursor().execute("SELECT 1").fetchval(), 1, "after cancel")
    step("cancel")


main()
