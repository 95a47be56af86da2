-- What lib/pq 1.12.3 sends to PostgreSQL 15, as read from the wire. README.md says how to read this file.

--- extended binary_params
select name from users where id=$1;

--- simple connect_query
;

--- simple connect_query
select name from users limit 1;

--- extended connect_query
select count(*) from orders where id<$1;

--- simple connect_query
BEGIN READ WRITE;

--- simple connect_query
select 1;

--- simple connect_query
COMMIT;

--- extended connect_query
select * from orders where id=$1;

--- simple copyin
create temp table ct(id int, name text);

--- simple copyin
COPY "ct" ("id", "name") FROM STDIN;

--- simple listen
LISTEN "ch";

--- simple listen
select pg_notify('ch','hi');
