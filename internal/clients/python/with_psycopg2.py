import io
import select
import threading

import psycopg2
import psycopg2.extras

from common import COLUMNS, NULLS, PUSH, ROW, create, equal, fails, step

NAME = "psycopg2"
ITEMS = f"{NAME}_items"


def main():
    conn = psycopg2.connect("")
    conn.autocommit = True
    psycopg2.extras.register_uuid(conn_or_curs=conn)
    equal(conn.encoding, "UTF8", "encoding")
    step("connect")

    cur = conn.cursor()
    for statement in create(NAME):
        cur.execute(statement)
    step("create")

    insert = f"INSERT INTO {ITEMS} ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"
    cur.execute(insert, ROW)
    psycopg2.extras.execute_values(cur, f"INSERT INTO {ITEMS} ({', '.join(COLUMNS)}) VALUES %s", [NULLS, (9,) + ROW[1:]])
    equal(cur.rowcount, 2, "rows of execute_values")
    step("insert")

    cur.execute(f"SELECT * FROM {ITEMS} WHERE id IN %s ORDER BY id", ((7, 8),))
    have = [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in cur.fetchall()]
    equal(have, [ROW, NULLS], "rows")
    equal([d.name for d in cur.description], COLUMNS, "names")
    step("read")

    data = io.StringIO("".join(f"{i}\tname {i}\t\\N\n" for i in range(100, 350)))
    cur.copy_from(data, ITEMS, columns=("id", "name", "price"))
    equal(cur.rowcount, 250, "rows of copy_from")
    out = io.StringIO()
    cur.copy_expert(f"COPY (SELECT id, name, price FROM {ITEMS} WHERE id = 100) TO STDOUT WITH (FORMAT csv, HEADER)", out)
    equal(out.getvalue(), "id,name,price\n100,name 100,\n", "copy out")
    fails("22P02", lambda: cur.copy_from(io.StringIO("x\n"), ITEMS, columns=("id",)), "a bad line")
    step("copy")

    conn.autocommit = False
    named = conn.cursor("walk")
    named.itersize = 100
    named.execute(f"SELECT id FROM {ITEMS} WHERE id >= %s ORDER BY id", (100,))
    equal([r[0] for r in named], list(range(100, 350)), "rows of the cursor")
    named.close()
    back = conn.cursor("back", scrollable=True)
    back.execute(f"SELECT id FROM {ITEMS} ORDER BY id")
    back.scroll(5, mode="absolute")
    equal(back.fetchone(), (102,), "row 6")
    back.scroll(-3)
    equal(back.fetchone(), (100,), "three rows back")
    back.close()
    conn.commit()
    keep = conn.cursor("keep", withhold=True)
    keep.execute(f"SELECT id FROM {ITEMS} ORDER BY id")
    conn.commit()
    equal(keep.fetchmany(2), [(7,), (8,)], "rows of a cursor that outlives its block")
    keep.close()
    conn.commit()
    step("cursor")

    conn.autocommit = True
    fails("23505", lambda: cur.execute(insert, ROW), "the same key twice")
    fails("42P01", lambda: cur.execute("SELECT * FROM nowhere"), "no such table")
    conn.autocommit = False
    fails("22012", lambda: cur.execute("SELECT 1 / 0"), "division by zero")
    fails("25P02", lambda: cur.execute("SELECT 1"), "a failed block")
    conn.rollback()
    step("errors")

    push(conn, cur)
    listen(conn)
    conn.close()


def push(conn, cur):
    other = psycopg2.connect("")
    other.autocommit = True
    cur.execute("SET auto_offset_reset = 'earliest'")
    pushed = conn.cursor("pushed")
    pushed.itersize = 1
    pushed.execute(PUSH.format(name=NAME))
    seen = [next(pushed)[0] for _ in range(3)]
    other.cursor().execute(f"INSERT INTO {NAME}_events VALUES (4, 'four')")
    seen.append(next(pushed)[0])
    equal(sorted(seen), [1, 2, 3, 4], "pushed")
    pushed.close()
    conn.commit()
    step("push")

    timer = threading.Timer(0.3, conn.cancel)
    timer.start()
    fails("57014", lambda: cur.execute(f"SELECT n FROM {NAME}_events WHERE n > 4 EMIT CHANGES"), "cancel")
    timer.join()
    conn.rollback()
    other.close()
    step("cancel")


def listen(conn):
    conn.autocommit = True
    conn.cursor().execute("LISTEN psycopg2_news; NOTIFY psycopg2_news, 'hello'")
    while not conn.notifies:
        if select.select([conn], [], [], 10) == ([], [], []):
            raise AssertionError("no notification in 10 s")
        conn.poll()
    equal((conn.notifies[0].channel, conn.notifies[0].payload), ("psycopg2_news", "hello"), "notification")
    step("listen")


main()
