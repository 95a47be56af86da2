select id,amount,at from orders where id=$1
;
-- next
select id,ratio,at,b,u from orders where id=$1
;
-- next
select id,amount from orders where id<$1
;
-- next
insert into users values($1,'x')
;
-- next
select nosuch
;
-- next
listen ch
;
-- next
select pg_notify('ch','x')
;
-- next
select $1::int
;
-- next
select * from orders where id=$1 and at<=$2 and ok=$3 and note<>$4 and j @> $5
;
-- next
select 1
;
-- next
select 1; select 2
;
-- next
select name from users where id=$1
;
-- next
begin
;
-- next
commit
;
-- next
select typname, oid, typarray from pg_type where typname = 'mood'
;
-- next
select id,name from users where id=$1
;
