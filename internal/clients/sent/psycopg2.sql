-- What psycopg2 2.9.5 sends to PostgreSQL 15, as read from the wire. README.md says how to read this file.

--- simple autocommit_isolation
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;

--- simple autocommit_isolation
select 1;

--- simple autocommit_isolation
ROLLBACK;

--- simple autocommit_isolation
SET client_encoding TO 'LATIN1';

--- simple autocommit_isolation
DISCARD ALL;

--- simple copy
BEGIN;

--- simple copy
create temp table ct(id int,name text);

--- simple copy
COPY "ct" FROM stdin WITH DELIMITER AS '	' NULL AS '\N';

--- simple copy
COPY "ct" TO stdout WITH DELIMITER AS '	' NULL AS '\N';

--- simple copy
copy (select 1) to stdout with csv header;

--- simple hstore_json
SELECT t.oid, typarray
FROM pg_type t JOIN pg_namespace ns
    ON typnamespace = ns.oid
WHERE typname = 'hstore';

--- simple hstore_json rows differ: tables have no row types
SELECT t.oid, typarray, attname, atttypid
FROM pg_type t
JOIN pg_namespace ns ON typnamespace = ns.oid
JOIN pg_attribute a ON attrelid = typrelid
WHERE typname = 'users' AND nspname = 'public'
    AND attnum > 0 AND NOT attisdropped
ORDER BY attnum;

--- simple hstore_json
select rngtypid, rngsubtype, typarray
from pg_range r
join pg_type t on t.oid = rngtypid
join pg_namespace ns on ns.oid = typnamespace
where typname = 'int4range' and ns.nspname = 'public';

--- simple hstore_json
SAVEPOINT register_type;

--- simple hstore_json answered otherwise: there are no ranges
SELECT rngtypid, rngsubtype, typarray, typname, nspname
from pg_range r
join pg_type t on t.oid = rngtypid
join pg_namespace ns on ns.oid = typnamespace
WHERE t.oid = 'int4range'::regtype;

--- simple hstore_json
ROLLBACK TO SAVEPOINT register_type;

--- simple named
DECLARE "nm" CURSOR WITHOUT HOLD FOR select id from orders where id<250;

--- simple named
FETCH FORWARD 10 FROM "nm";

--- simple named
FETCH FORWARD 100 FROM "nm";

--- simple named
CLOSE "nm";

--- simple named
COMMIT;

--- simple named
DECLARE "nm2" SCROLL CURSOR WITH HOLD FOR select id from orders;

--- simple named
FETCH FORWARD 1 FROM "nm2";

--- simple named
MOVE 3 FROM "nm2";

--- simple named
FETCH FORWARD ALL FROM "nm2";

--- simple named
CLOSE "nm2";

--- simple query
select * from orders where id=1 and at<='2026-11-21T20:39:00.169406'::timestamp;

--- simple tpc
SELECT gid, prepared, owner, database FROM pg_prepared_xacts;
