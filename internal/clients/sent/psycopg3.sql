-- What psycopg 3.1.7 sends to PostgreSQL 15, as read from the wire. README.md says how to read this file.

--- simple autocommit_noparams
select 1;

--- simple autocommit_noparams
select 1; select 2;

--- extended binary
BEGIN;

--- extended binary
select id,amount,at,j,tags,u,b,iv from orders where id=$1;

--- extended binary_param
select id from orders where id=$1 and u=$2 and at<$3;

--- simple cancel
select pg_sleep(5);

--- simple copy
create temp table ct(id int,name text);

--- simple copy
copy ct(id,name) from stdin;

--- simple copy
copy ct to stdout;

--- simple copy
copy ct(id,name) from stdin (format binary);

--- simple copy
copy (select id,amount from orders limit 3) to stdout (format binary);

--- simple errors
insert into users values(1,'x');

--- extended errors
ROLLBACK;

--- extended executemany
insert into ct values($1,$2);

--- extended executemany
DEALLOCATE ALL;

--- simple listen
listen ch;

--- simple listen
select pg_notify('ch','x');

--- extended pipeline
select name from users where id=$1;

--- extended query
select * from orders where id=$1 and amount>$2 and at<=$3 and note<>$4 and ok=$5;

--- extended query
COMMIT;

--- extended server_cursor
DECLARE "named" CURSOR FOR select id,amount from orders where id<$1;

--- extended server_cursor
FETCH FORWARD 10 FROM "named";

--- extended server_cursor
FETCH FORWARD 100 FROM "named";

--- extended server_cursor
CLOSE "named";

--- extended server_cursor
DECLARE "scr" SCROLL CURSOR FOR select id from orders;

--- extended server_cursor
FETCH FORWARD 1 FROM "scr";

--- extended server_cursor
MOVE 5 FROM "scr";

--- extended server_cursor
FETCH FORWARD ALL FROM "scr";

--- extended server_cursor
CLOSE "scr";

--- extended stream
select id,amount from orders where id<$1;

--- extended tx
SAVEPOINT "_pg3_2";

--- simple tx
select 2;

--- extended tx
RELEASE "_pg3_2";

--- extended typeinfo values mood
SELECT
    typname AS name, oid, typarray AS array_oid,
    oid::regtype::text AS regtype, typdelim AS delimiter
FROM pg_type t
WHERE t.oid = $1::regtype
ORDER BY t.oid;

--- extended typeinfo values mood
SELECT name, oid, array_oid, array_agg(label) AS labels
FROM (
    SELECT
        t.typname AS name, t.oid AS oid, t.typarray AS array_oid,
        e.enumlabel AS label
    FROM pg_type t
    LEFT JOIN  pg_enum e
    ON e.enumtypid = t.oid
    WHERE t.oid = $1::regtype
    ORDER BY e.enumsortorder
) x
GROUP BY name, oid, array_oid;

--- extended typeinfo values mood
SELECT
    t.typname AS name, t.oid AS oid, t.typarray AS array_oid,
    t.oid::regtype::text AS regtype,
    coalesce(a.fnames, '{}') AS field_names,
    coalesce(a.ftypes, '{}') AS field_types
FROM pg_type t
LEFT JOIN (
    SELECT
        attrelid,
        array_agg(attname) AS fnames,
        array_agg(atttypid) AS ftypes
    FROM (
        SELECT a.attrelid, a.attname, a.atttypid
        FROM pg_attribute a
        JOIN pg_type t ON t.typrelid = a.attrelid
        WHERE t.oid = $1::regtype
        AND a.attnum > 0
        AND NOT a.attisdropped
        ORDER BY a.attnum
    ) x
    GROUP BY attrelid
) a ON a.attrelid = t.typrelid
WHERE t.oid = $1::regtype;

--- extended typeinfo values mood
SELECT t.typname AS name, t.oid AS oid, t.typarray AS array_oid,
    t.oid::regtype::text AS regtype,
    r.rngsubtype AS subtype_oid
FROM pg_type t
JOIN pg_range r ON t.oid = r.rngtypid
WHERE t.oid = $1::regtype;
