import os
import threading

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session, declarative_base

from common import PUSH, ROW, create, equal, fails, step

NAME = "sqlalchemy"


def main():
    for driver in ("psycopg", "psycopg2"):
        run(driver)


class Base(declarative_base()):
    __abstract__ = True


class Item(Base):
    __tablename__ = f"{NAME}_orm"
    id = sa.Column(sa.Integer, primary_key=True, autoincrement=False)
    name = sa.Column(sa.String(40), nullable=False)
    price = sa.Column(sa.Numeric(12, 2))
    at = sa.Column(sa.DateTime(timezone=True))
    tags = sa.Column(pg.ARRAY(sa.Text))
    doc = sa.Column(pg.JSONB)


def run(driver):
    engine = sa.create_engine(f"postgresql+{driver}://", connect_args={"application_name": "sqlalchemy"})
    with engine.connect() as conn:
        equal(conn.execute(sa.text("SELECT current_user")).scalar(), os.environ["PGUSER"], "user")
    step(f"{driver} connect")

    with engine.begin() as conn:
        for statement in create(NAME):
            conn.execute(sa.text(statement))
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    step(f"{driver} create")

    with Session(engine) as s:
        s.add_all(Item(id=i, name=f"n{i}", price=ROW[3], at=ROW[7], tags=["a", "b"], doc={"k": [1, None]}) for i in range(1, 301))
        s.commit()
        one = s.get(Item, 7)
        one.name = "changed"
        s.commit()
        equal(s.query(Item).filter(Item.name == "changed", Item.price > 1).count(), 1, "rows by the mapper")
        equal((one.price, one.at, one.tags, one.doc), (ROW[3], ROW[7], ["a", "b"], {"k": [1, None]}), "values")
    step(f"{driver} insert")

    with engine.begin() as conn:
        upsert = pg.insert(Item).values(id=7, name="again").on_conflict_do_update(index_elements=["id"], set_={"name": "again"}).returning(Item.name)
        equal(conn.execute(upsert).scalar(), "again", "RETURNING of an upsert")
        stream = conn.execution_options(stream_results=True, max_row_buffer=100).execute(sa.select(Item.id).order_by(Item.id))
        equal([r[0] for r in stream], list(range(1, 301)), "rows of a server side cursor")
        conn.execution_options(stream_results=False)
    step(f"{driver} cursor")

    look = sa.inspect(engine)
    assert Item.__tablename__ in look.get_table_names(), look.get_table_names()
    equal([c["name"] for c in look.get_columns(Item.__tablename__)], ["id", "name", "price", "at", "tags", "doc"], "reflected columns")
    equal(look.get_pk_constraint(Item.__tablename__)["constrained_columns"], ["id"], "reflected key")
    equal((look.get_foreign_keys(Item.__tablename__), look.get_indexes(Item.__tablename__)), ([], []), "reflected keys and indexes")
    reflected = sa.Table(Item.__tablename__, sa.MetaData(), autoload_with=engine)
    equal([c.type.compile(dialect=engine.dialect) for c in reflected.c], ["INTEGER", "VARCHAR(40)", "NUMERIC(12, 2)", "TIMESTAMP WITH TIME ZONE", "TEXT[]", "JSONB"], "reflected types")
    assert f"{NAME}_events" in look.get_view_names(), look.get_view_names()
    step(f"{driver} reflect")

    with engine.connect() as conn:
        fails("23505", lambda: conn.execute(sa.insert(Item).values(id=7, name="x")), "the same key twice")
        conn.rollback()
        fails("42P01", lambda: conn.execute(sa.text("SELECT * FROM nowhere")), "no such table")
        conn.rollback()
        with conn.begin_nested() as nested:
            conn.execute(sa.delete(Item))
            nested.rollback()
        equal(conn.execute(sa.select(sa.func.count()).select_from(Item)).scalar(), 300, "rows after a savepoint")
        conn.rollback()
    step(f"{driver} errors")

    with engine.connect() as conn, engine.connect() as other:
        conn.execute(sa.text("SET auto_offset_reset = 'earliest'"))
        rows = iter(conn.execution_options(stream_results=True, yield_per=1).execute(sa.text(PUSH.format(name=NAME))))
        seen = [next(rows)[0] for _ in range(3)]
        other.execute(sa.text(f"INSERT INTO {NAME}_events VALUES (4, 'four')"))
        other.commit()
        seen.append(next(rows)[0])
        equal(sorted(seen), [1, 2, 3, 4], "pushed")
        step(f"{driver} push")
        rows = None
        conn.rollback()
        conn.execution_options(stream_results=False)
        raw = conn.connection.driver_connection
        timer = threading.Timer(0.3, raw.cancel)
        timer.start()
        fails("57014", lambda: conn.execute(sa.text(f"SELECT n FROM {NAME}_events WHERE n > 4 EMIT CHANGES")), "cancel")
        timer.join()
        conn.rollback()
    step(f"{driver} cancel")
    engine.dispose()


main()
