-- What node-postgres 8.23.1 sends to PostgreSQL 15, as read from the wire. README.md says how to read this file.

--- extended binary
select id,amount,at from orders where id=$1;

--- extended binary
select id,ratio,at,b,u from orders where id=$1;

--- extended cursor
select id,amount from orders where id<$1;

--- extended error
insert into users values($1,'x');

--- simple error
select nosuch;

--- simple listen
listen ch;

--- simple listen
select pg_notify('ch','x');

--- extended pool
select $1::int;

--- extended query
select * from orders where id=$1 and at<=$2 and ok=$3 and note<>$4 and j @> $5;

--- simple query
select 1;

--- simple query
select 1; select 2;

--- extended query
select name from users where id=$1;

--- simple query
begin;

--- simple query
commit;

--- simple reserved_db
select typname, oid, typarray from pg_type where typname = 'mood';

--- extended rowmode_types
select id,name from users where id=$1;
