import asyncio
import io

import asyncpg

from common import COLUMNS, NULLS, PUSH, ROW, create, equal, step

NAME = "asyncpg"
ITEMS = f"{NAME}_items"


async def fails(code, call, what):
    try:
        await call
    except asyncpg.PostgresError as e:
        return equal(e.sqlstate, code, f"{what}: {e}")
    raise AssertionError(f"{what}: no error, want {code}")


async def main():
    conn = await asyncpg.connect()
    equal(conn.get_server_version().major, 15, "version")
    step("connect")

    for statement in create(NAME):
        await conn.execute(statement)
    step("create")

    insert = f"INSERT INTO {ITEMS} ({', '.join(COLUMNS)}) VALUES ({', '.join(f'${i + 1}' for i in range(len(COLUMNS)))})"
    equal(await conn.execute(insert, *ROW), "INSERT 0 1", "tag")
    await conn.executemany(insert, [NULLS, (9,) + ROW[1:]])
    step("insert")

    # All of asyncpg's values are binary.
    rows = await conn.fetch(f"SELECT * FROM {ITEMS} WHERE id = ANY($1::int[]) ORDER BY id", [7, 8])
    equal([tuple(r) for r in rows], [ROW, NULLS], "rows")
    equal(await conn.fetchval(f"SELECT id FROM {ITEMS} ORDER BY id"), 7, "first value of several")
    equal(await conn.fetchval("SELECT '{\"a\": 1}'::jsonb ->> 'a'"), "1", "jsonb")
    statement = await conn.prepare("SELECT $1::interval, $2::time, $3::real")
    equal([t.name for t in statement.get_parameters()], ["interval", "time", "float4"], "types of parameters")
    step("read")

    out = io.BytesIO()
    await conn.copy_records_to_table(ITEMS, columns=["id", "name", "ratio"], records=[(i, f"name {i}", i / 4) for i in range(100, 350)])
    await conn.copy_to_table(ITEMS, source=io.BytesIO(b"350,last\n"), columns=["id", "name"], format="csv")
    await conn.copy_from_query(f"SELECT id, name FROM {ITEMS} WHERE id >= $1 ORDER BY id", 349, output=out)
    equal(out.getvalue(), b"349\tname 349\n350\tlast\n", "copy out")
    step("copy")

    async with conn.transaction():
        seen = [r["id"] async for r in conn.cursor(f"SELECT id FROM {ITEMS} WHERE id >= $1 ORDER BY id", 100, prefetch=50)]
        equal(seen, list(range(100, 351)), "rows of the cursor")
        cur = await conn.cursor(f"SELECT id FROM {ITEMS} ORDER BY id")
        await cur.forward(3)
        equal([r["id"] for r in await cur.fetch(2)], [100, 101], "rows after three")
    step("cursor")

    await fails("23505", conn.execute(insert, *ROW), "the same key twice")
    await fails("42P01", conn.fetch("SELECT * FROM nowhere"), "no such table")
    await fails("22012", conn.fetch("SELECT 1 / $1::int", 0), "division by zero")
    block = conn.transaction()
    await block.start()
    await fails("42703", conn.fetch(f"SELECT nothing FROM {ITEMS}"), "no such column")
    await fails("25P02", conn.fetch("SELECT 1"), "a failed block")
    await block.rollback()
    step("errors")

    await push(conn)
    await listen(conn)
    await conn.close()

    pool = await asyncpg.create_pool(min_size=1, max_size=2)
    for _ in range(3):
        async with pool.acquire() as c:  # is reset when it goes back
            await c.execute("SET timezone = 'Europe/Berlin'")
    async with pool.acquire() as c:
        equal(await c.fetchval("SHOW timezone"), "UTC", "the zone of a connection that was reset")
    await pool.close()
    step("pool")


async def push(conn):
    other = await asyncpg.connect()
    await conn.execute("SET auto_offset_reset = 'earliest'")
    async with conn.transaction():
        cur = await conn.cursor(PUSH.format(name=NAME))
        seen = [(await cur.fetchrow())["n"] for _ in range(3)]
        await other.execute(f"INSERT INTO {NAME}_events VALUES ($1, $2)", 4, "four")
        seen.append((await cur.fetchrow())["n"])
    equal(sorted(seen), [1, 2, 3, 4], "pushed")
    lines = asyncio.Queue()
    copying = asyncio.create_task(conn.copy_from_query(PUSH.format(name=NAME), output=lines.put))
    copied = b""
    while copied.count(b"\n") < 4:
        copied += await asyncio.wait_for(lines.get(), 10)
    copying.cancel()
    await asyncio.gather(copying, return_exceptions=True)
    step("push")

    try:
        await conn.fetch(f"SELECT n FROM {NAME}_events WHERE n > 4 EMIT CHANGES", timeout=0.3)
        raise AssertionError("an endless query ended")
    except asyncio.TimeoutError:
        pass
    waiting = asyncio.create_task(conn.fetch(f"SELECT n FROM {NAME}_events WHERE n > 5 EMIT CHANGES"))
    while not waiting.done():  # a cancel that comes before the query finds nothing to do
        await other.fetchval("SELECT pg_cancel_backend($1)", conn.get_server_pid())
    await fails("57014", waiting, "cancel")
    equal(await conn.fetchval("SELECT 1"), 1, "after cancel")
    await other.close()
    step("cancel")


async def listen(conn):
    got = asyncio.get_running_loop().create_future()
    await conn.add_listener("asyncpg_news", lambda *a: got.set_result(a[1:]))
    other = await asyncpg.connect()
    await other.execute("SELECT pg_notify('asyncpg_news', $1)", "hello")
    equal(await asyncio.wait_for(got, 10), (other.get_server_pid(), "asyncpg_news", "hello"), "notification")
    await other.close()
    step("listen")


asyncio.run(main())
