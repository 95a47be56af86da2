select * from (values (1, 'a'), (2, 'b'), (null, 'n')) l(x, s) join (values (1, 'A'), (1, 'AA'), (3, 'C'), (null, 'N')) r(y, t) on x = y order by 1, 2, 3, 4
select * from (values (1, 'a'), (2, 'b'), (null, 'n')) l(x, s) left join (values (1, 'A'), (1, 'AA'), (3, 'C')) r(y, t) on x = y order by 1, 2, 3, 4
select * from (values (1, 'a'), (2, 'b'), (null, 'n')) l(x, s) right join (values (1, 'A'), (1, 'AA'), (3, 'C')) r(y, t) on x = y order by 3, 4, 1
select * from (values (1, 'a'), (2, 'b'), (null, 'n')) l(x, s) full join (values (1, 'A'), (3, 'C'), (null, 'N')) r(y, t) on x = y order by 1, 2, 3, 4
select * from (values (1, 'a'), (2, 'b')) l(x, s) left join (values (1, 'A'), (1, 'AA')) r(y, t) on x = y and t = 'AA' order by 1
select * from generate_series(1, 3) a(x) cross join generate_series(1, 2) b(y) order by 1, 2
select * from generate_series(1, 4) a(x) join generate_series(1, 4) b(y) on x < y and x + y = 5 order by 1
select count(*), sum(x * y) from generate_series(1, 2000) a(x) join generate_series(1, 2000) b(y) on x = y
select count(*) from generate_series(1, 300) a(x) join generate_series(1, 300) b(y) on x <= y
select count(*), count(y) from generate_series(1, 3000) a(x) left join generate_series(1, 5000, 2) b(y) on x = y
select count(*), count(x), count(y) from generate_series(1, 3000) a(x) full join generate_series(2001, 5000) b(y) on x = y
select x from generate_series(1, 5) a(x) where exists (select 1 from generate_series(2, 3) b(y) where y = x) order by x
select x from generate_series(1, 5) a(x) where not exists (select 1 from generate_series(2, 3) b(y) where y = x) order by x
select x from generate_series(1, 5) a(x) where x in (select y from generate_series(2, 3) b(y)) order by x
select x from generate_series(1, 5) a(x) where x not in (select y from generate_series(2, 3) b(y)) order by x
select x, x in (select y from (values (2), (null)) b(y)), x not in (select y from (values (2), (null)) b(y)), x in (select y from generate_series(1, 0) b(y)) from (values (1), (2), (null)) a(x)
select (1, 'a') in (select x, s from (values (1, 'a'), (2, null)) v(x, s)), (2, 'b') in (select x, s from (values (1, 'a'), (2, null)) v(x, s)), (3, 'b') in (select x, s from (values (1, 'a'), (2, null)) v(x, s))
select x, x > any (select y from generate_series(2, 3) b(y)), x > all (select y from generate_series(2, 3) b(y)) from generate_series(1, 4) a(x)
select x, (select sum(y) from generate_series(1, x) b(y)) from generate_series(1, 3) a(x)
select (select y from generate_series(1, 2) b(y))
select array(select y from generate_series(1, 3) b(y)), (select 1 where false) is null
select * from generate_series(1, 2) a(x), lateral (select y from generate_series(1, a.x) b(y)) c order by 1, 2
select * from generate_series(0, 2) a(x) left join lateral (select y from generate_series(1, a.x) b(y)) c on true order by 1, 2
select x % 3, count(*) from generate_series(1, 10) a(x) group by 1 order by 1
select x % 2, x % 3, sum(x) from generate_series(1, 12) a(x) group by grouping sets ((1), (2), ()) order by 1, 2
select s, n, count(*) from (values ('a', null), ('a', null), ('b', 1), (null, 1)) v(s, n) group by s, n order by 1, 2
select distinct x % 3 from generate_series(1, 10) a(x) order by 1
select distinct on (x % 3) x % 3, x from generate_series(1, 10) a(x) order by 1, 2 desc
select x from generate_series(1, 3) a(x) union select y from generate_series(2, 4) b(y) order by 1
select x from generate_series(1, 3) a(x) union all select y from generate_series(2, 4) b(y) order by 1
select x from (values (1), (1), (2), (null), (null)) a(x) intersect all select y from (values (1), (null), (3)) b(y) order by 1
select x from (values (1), (1), (2), (null)) a(x) except select y from (values (1)) b(y) order by 1
select x from (values (1), (1), (2)) a(x) except all select y from (values (1)) b(y) order by 1
select x from generate_series(1, 10) a(x) order by x desc limit 3
select x from generate_series(1, 10) a(x) order by x % 3, x desc limit 4 offset 2
select x from generate_series(1, 5000) a(x) order by x % 7 desc, x limit 3 offset 700
select x % 3 from generate_series(1, 10) a(x) order by 1 fetch first 2 rows with ties
select x from (values (3), (null), (1)) a(x) order by x nulls first
select x from (values (3), (null), (1)) a(x) order by x desc limit 2
select x from generate_series(1, 3) a(x) limit 0
select x from generate_series(1, 3) a(x) limit -1
select x from generate_series(1, 3) a(x) order by x limit null offset 1
with recursive t(n) as (values (1) union all select n + 1 from t where n < 5) select sum(n) from t
with recursive t(n) as (select 1 union select n % 3 + 1 from t) select * from t order by 1
select case when x = 0 then 'zero' when 10 / x > 5 then 'small' else 'big' end from (values (0), (1), (3)) v(x)
select x from (values (0), (1)) v(x) where x <> 0 and 10 / x = 10
select coalesce(null, 1, 1 / 0), nullif(1, 1), nullif(2, 1)
select x, s from (select x, 'r' || x as s from generate_series(1, 30000) a(x)) q order by x % 1000 desc, s limit 5 offset 40
select x from generate_series(1, 30000) a(x) order by x limit 2
