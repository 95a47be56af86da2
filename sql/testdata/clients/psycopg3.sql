select 1
;
-- next
select 1; select 2
;
-- next
BEGIN
;
-- next
select id,amount,at,j,tags,u,b,iv from orders where id=$1
;
-- next
select id from orders where id=$1 and u=$2 and at<$3
;
-- next
select pg_sleep(5)
;
-- next
create temp table ct(id int,name text)
;
-- next
copy ct(id,name) from stdin
;
-- next
copy ct to stdout
;
-- next
copy ct(id,name) from stdin (format binary)
;
-- next
copy (select id,amount from orders limit 3) to stdout (format binary)
;
-- next
insert into users values(1,'x')
;
-- next
ROLLBACK
;
-- next
insert into ct values($1,$2)
;
-- next
DEALLOCATE ALL
;
-- next
listen ch
;
-- next
select pg_notify('ch','x')
;
-- next
select name from users where id=$1
;
-- next
select * from orders where id=$1 and amount>$2 and at<=$3 and note<>$4 and ok=$5
;
-- next
COMMIT
;
-- next
DECLARE "named" CURSOR FOR select id,amount from orders where id<$1
;
-- next
FETCH FORWARD 10 FROM "named"
;
-- next
FETCH FORWARD 100 FROM "named"
;
-- next
CLOSE "named"
;
-- next
DECLARE "scr" SCROLL CURSOR FOR select id from orders
;
-- next
FETCH FORWARD 1 FROM "scr"
;
-- next
MOVE 5 FROM "scr"
;
-- next
FETCH FORWARD ALL FROM "scr"
;
-- next
CLOSE "scr"
;
-- next
select id,amount from orders where id<$1
;
-- next
SAVEPOINT "_pg3_2"
;
-- next
select 2
;
-- next
RELEASE "_pg3_2"
;
-- next
SELECT
    typname AS name, oid, typarray AS array_oid,
    oid::regtype::text AS regtype, typdelim AS delimiter
FROM pg_type t
WHERE t.oid = $1::regtype
ORDER BY t.oid
;
-- next
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
GROUP BY name, oid, array_oid
;
-- next
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
WHERE t.oid = $1::regtype
;
-- next
SELECT t.typname AS name, t.oid AS oid, t.typarray AS array_oid,
    t.oid::regtype::text AS regtype,
    r.rngsubtype AS subtype_oid
FROM pg_type t
JOIN pg_range r ON t.oid = r.rngtypid
WHERE t.oid = $1::regtype
;
