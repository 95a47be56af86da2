BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY
;
-- next
select 1
;
-- next
ROLLBACK
;
-- next
SET client_encoding TO 'LATIN1'
;
-- next
DISCARD ALL
;
-- next
BEGIN
;
-- next
create temp table ct(id int,name text)
;
-- next
COPY "ct" FROM stdin WITH DELIMITER AS '	' NULL AS '\N'
;
-- next
COPY "ct" TO stdout WITH DELIMITER AS '	' NULL AS '\N'
;
-- next
copy (select 1) to stdout with csv header
;
-- next
SELECT t.oid, typarray
FROM pg_type t JOIN pg_namespace ns
    ON typnamespace = ns.oid
WHERE typname = 'hstore';
-- next
SELECT t.oid, typarray, attname, atttypid
FROM pg_type t
JOIN pg_namespace ns ON typnamespace = ns.oid
JOIN pg_attribute a ON attrelid = typrelid
WHERE typname = 'users' AND nspname = 'public'
    AND attnum > 0 AND NOT attisdropped
ORDER BY attnum;
-- next
select rngtypid, rngsubtype, typarray
from pg_range r
join pg_type t on t.oid = rngtypid
join pg_namespace ns on ns.oid = typnamespace
where typname = 'int4range' and ns.nspname = 'public';
-- next
SAVEPOINT register_type
;
-- next
SELECT rngtypid, rngsubtype, typarray, typname, nspname
from pg_range r
join pg_type t on t.oid = rngtypid
join pg_namespace ns on ns.oid = typnamespace
WHERE t.oid = 'int4range'::regtype
;
-- next
ROLLBACK TO SAVEPOINT register_type
;
-- next
DECLARE "nm" CURSOR WITHOUT HOLD FOR select id from orders where id<250
;
-- next
FETCH FORWARD 10 FROM "nm"
;
-- next
FETCH FORWARD 100 FROM "nm"
;
-- next
CLOSE "nm"
;
-- next
COMMIT
;
-- next
DECLARE "nm2" SCROLL CURSOR WITH HOLD FOR select id from orders
;
-- next
FETCH FORWARD 1 FROM "nm2"
;
-- next
MOVE 3 FROM "nm2"
;
-- next
FETCH FORWARD ALL FROM "nm2"
;
-- next
CLOSE "nm2"
;
-- next
select * from orders where id=1 and at<='2026-11-21T20:39:00.169406'::timestamp
;
-- next
SELECT gid, prepared, owner, database FROM pg_prepared_xacts
;
