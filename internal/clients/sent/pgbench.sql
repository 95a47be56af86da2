-- What pgbench 15.20 sends to PostgreSQL 15, as read from the wire. README.md says how to read this file.

--- extended custom_extended
select name from users where id=$1;

--- extended custom_extended
begin;

--- extended custom_extended
select 1 as x;

--- extended custom_extended
end;

--- simple custom_simple
select name from users where id=21;

--- simple custom_simple
begin;

--- simple custom_simple
select 1 as x;

--- simple custom_simple
end;

--- simple custom_simple
select name from users where id=8;

--- simple custom_simple
select name from users where id=14;

--- simple init
drop table if exists pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers;

--- simple init
create table pgbench_history(tid int,bid int,aid    int,delta int,mtime timestamp,filler char(22));

--- simple init
create table pgbench_tellers(tid int not null,bid int,tbalance int,filler char(84)) with (fillfactor=100);

--- simple init
create table pgbench_accounts(aid    int not null,bid int,abalance int,filler char(84)) with (fillfactor=100);

--- simple init
create table pgbench_branches(bid int not null,bbalance int,filler char(88)) with (fillfactor=100);

--- simple init
truncate table pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers;

--- simple init
insert into pgbench_branches(bid,bbalance) values(1,0);

--- simple init
insert into pgbench_tellers(tid,bid,tbalance) values (1,1,0);

--- simple init
insert into pgbench_tellers(tid,bid,tbalance) values (2,1,0);

--- simple init
insert into pgbench_tellers(tid,bid,tbalance) values (3,1,0);

--- simple init
insert into pgbench_tellers(tid,bid,tbalance) values (4,1,0);

--- simple init
insert into pgbench_tellers(tid,bid,tbalance) values (5,1,0);

--- simple init
insert into pgbench_tellers(tid,bid,tbalance) values (6,1,0);

--- simple init
insert into pgbench_tellers(tid,bid,tbalance) values (7,1,0);

--- simple init
insert into pgbench_tellers(tid,bid,tbalance) values (8,1,0);

--- simple init
insert into pgbench_tellers(tid,bid,tbalance) values (9,1,0);

--- simple init
insert into pgbench_tellers(tid,bid,tbalance) values (10,1,0);

--- simple init
copy pgbench_accounts from stdin with (freeze on);

--- simple init
commit;

--- simple init
vacuum analyze pgbench_branches;

--- simple init
vacuum analyze pgbench_tellers;

--- simple init
vacuum analyze pgbench_accounts;

--- simple init
vacuum analyze pgbench_history;

--- simple init
alter table pgbench_branches add primary key (bid);

--- simple init
alter table pgbench_tellers add primary key (tid);

--- simple init
alter table pgbench_accounts add primary key (aid);

--- extended pipeline
select 1;

--- extended pipeline
select 2;

--- simple tpcb
select count(*) from pgbench_branches;

--- simple tpcb
select o.n, p.partstrat, pg_catalog.count(i.inhparent) from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on (n.oid = c.relnamespace) cross join lateral (select pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname)) as o(n) left join pg_catalog.pg_partitioned_table as p on (p.partrelid = c.oid) left join pg_catalog.pg_inherits as i on (c.oid = i.inhparent) where c.relname = 'pgbench_accounts' and o.n is not null group by 1, 2 order by 1 asc limit 1;

--- simple tpcb
vacuum pgbench_branches;

--- simple tpcb
vacuum pgbench_tellers;

--- simple tpcb
truncate pgbench_history;

--- simple tpcb
BEGIN;

--- simple tpcb
UPDATE pgbench_accounts SET abalance = abalance + -3023 WHERE aid = 80443;

--- simple tpcb
SELECT abalance FROM pgbench_accounts WHERE aid = 80443;

--- simple tpcb
UPDATE pgbench_tellers SET tbalance = tbalance + -3023 WHERE tid = 7;

--- simple tpcb
UPDATE pgbench_branches SET bbalance = bbalance + -3023 WHERE bid = 1;

--- simple tpcb
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (7, 1, 80443, -3023, CURRENT_TIMESTAMP);

--- simple tpcb
END;

--- simple tpcb
UPDATE pgbench_accounts SET abalance = abalance + 3185 WHERE aid = 21684;

--- simple tpcb
SELECT abalance FROM pgbench_accounts WHERE aid = 21684;

--- simple tpcb
UPDATE pgbench_tellers SET tbalance = tbalance + 3185 WHERE tid = 10;

--- simple tpcb
UPDATE pgbench_branches SET bbalance = bbalance + 3185 WHERE bid = 1;

--- simple tpcb
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (10, 1, 21684, 3185, CURRENT_TIMESTAMP);
