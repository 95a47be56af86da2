import io
import threading

import psycopg

from common import COLUMNS, NULLS, PUSH, ROW, create, equal, fails, step

NAME = "psycopg3"
ITEMS = f"{NAME}_items"


def main():
    conn = psycopg.connect(autocommit=True)
    equal(conn.info.encoding, "utf-8", "encoding")
    step("connect")

    for statement in create(NAME):
        conn.execute(statement)
    step("create")

    places = ", ".join(["%s"] * len(COLUMNS))
    insert = f"INSERT INTO {ITEMS} ({', '.join(COLUMNS)}) VALUES ({places})"
    conn.execute(insert, ROW)
    cur = conn.cursor()
    cur.executemany(insert, [NULLS, (9,) + ROW[1:]])  # a pipeline
    equal(cur.rowcount, 2, "rows of executemany")
    step("insert")

    for binary in (False, True):
        rows = conn.cursor(binary=binary).execute(f"SELECT * FROM {ITEMS} WHERE id = ANY(%s) ORDER BY id", ([7, 8],)).fetchall()
        equal(rows, [ROW, NULLS], f"rows, binary {binary}")
    for _ in range(7):  # is prepared on the way
        equal(conn.execute(f"SELECT name FROM {ITEMS} WHERE id = %s", (7,)).fetchone(), (ROW[6],), "prepared")
    step("read")

    conn.autocommit = False
    with conn.pipeline():
        a = conn.execute("SELECT %s::int + 1", (1,))
        b = conn.execute("SELECT 'two'")
        equal((a.fetchone(), b.fetchone()), ((2,), ("two",)), "pipeline")
    conn.commit()
    conn.autocommit = True
    step("pipeline")

    with conn.cursor() as cur:
        with cur.copy(f"COPY {ITEMS} (id, name, price) FROM STDIN") as copy:
            for i in range(100, 350):
                copy.write_row((i, f"name\t{i}", i / 4))
        with cur.copy(f"COPY {ITEMS} (id, name, ratio) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text", "float8"])
            for i in range(350, 400):
                copy.write_row((i, f"name {i}", i / 4))
        out = io.BytesIO()
        with cur.copy(f"COPY (SELECT id, name FROM {ITEMS} WHERE id BETWEEN 100 AND 101 ORDER BY id) TO STDOUT") as copy:
            for data in copy:
                out.write(data)
        equal(out.getvalue(), b"100\tname\\t100\n101\tname\\t101\n", "copy out")
        with cur.copy(f"COPY (SELECT id, ratio FROM {ITEMS} WHERE id = 399) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "float8"])
            equal(list(copy.rows()), [(399, 99.75)], "binary copy out")
        try:
            with cur.copy(f"COPY {ITEMS} (id) FROM STDIN") as copy:
                copy.write_row((1000,))
                raise KeyError("stop")  # CopyFail
        except KeyError:
            pass
        equal(conn.execute(f"SELECT count(*) FROM {ITEMS} WHERE id = 1000").fetchone(), (0,), "rows of the failed copy")
    step("copy")

    with conn.transaction():
        with conn.cursor(name="walk") as cur:
            cur.itersize = 100
            cur.execute(f"SELECT id FROM {ITEMS} WHERE id >= %s AND id < %s ORDER BY id", (100, 350))
            equal([r[0] for r in cur], list(range(100, 350)), "rows of the cursor")
    step("cursor")

    fails("23505", lambda: conn.execute(insert, ROW), "the same key twice")
    e = fails("42P01", lambda: conn.execute("SELECT * FROM nowhere"), "no such table")
    equal(e.diag.statement_position, "15", "position")
    fails("22P02", lambda: conn.execute("SELECT %s::int", ("x",)), "no number")
    conn.autocommit = False
    fails("42703", lambda: conn.execute(f"SELECT nothing FROM {ITEMS}"), "no such column")
    fails("25P02", lambda: conn.execute("SELECT 1"), "a failed block")
    conn.rollback()
    conn.execute(f"DELETE FROM {ITEMS}")
    conn.rollback()
    equal(conn.execute(f"SELECT count(*) FROM {ITEMS}").fetchone(), (303,), "rows after ROLLBACK")
    conn.commit()
    conn.autocommit = True
    step("errors")

    push(conn)
    listen(conn)
    conn.close()


def push(conn):
    conn.execute("SET auto_offset_reset = 'earliest'")
    other = psycopg.connect(autocommit=True)
    seen = []
    for row in conn.cursor().stream(PUSH.format(name=NAME)):
        seen.append(row)
        if len(seen) == 3:
            other.execute(f"INSERT INTO {NAME}_events VALUES (%s, %s)", (4, "four"))
        if len(seen) == 4:
            break  # sends a CancelRequest
    equal(sorted(seen), [(1, "one"), (2, "two"), (3, "three"), (4, "four")], "pushed")

    with conn.cursor(name="pushed") as cur:  # outside of a block, as only push queries can be
        cur.itersize = 1
        cur.execute(PUSH.format(name=NAME))
        equal(sorted(next(cur)[0] for _ in range(4)), [1, 2, 3, 4], "rows of a server cursor")
    with conn.cursor() as cur:
        with cur.copy(f"COPY ({PUSH.format(name=NAME)} LIMIT 4) TO STDOUT") as copy:
            equal(len(list(copy.rows())), 4, "rows of COPY")
    step("push")

    timer = threading.Timer(0.3, conn.cancel_safe)
    timer.start()
    fails("57014", lambda: conn.execute(f"SELECT n FROM {NAME}_events WHERE n > 4 EMIT CHANGES").fetchall(), "cancel")
    timer.join()
    equal(conn.execute("SELECT 1").fetchone(), (1,), "after cancel")
    step("cancel")
    other.close()


def listen(conn):
    conn.execute("LISTEN psycopg3_news")
    with psycopg.connect(autocommit=True) as other:
        other.execute("SELECT pg_notify('psycopg3_news', 'hello')")
        other.execute("NOTIFY psycopg3_news, 'again'")
    got = [n.payload for n in conn.notifies(timeout=10, stop_after=2)]
    equal(got, ["hello", "again"], "notifications")
    conn.execute("UNLISTEN *")
    step("listen")


main()
