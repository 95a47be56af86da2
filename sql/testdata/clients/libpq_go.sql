select name from users where id=$1
;
-- next
;
-- next
select name from users limit 1
;
-- next
select count(*) from orders where id<$1
;
-- next
BEGIN READ WRITE
;
-- next
select 1
;
-- next
COMMIT
;
-- next
select * from orders where id=$1
;
-- next
create temp table ct(id int, name text)
;
-- next
COPY "ct" ("id", "name") FROM STDIN
;
-- next
LISTEN "ch"
;
-- next
select pg_notify('ch','hi')
;
