select x, row_number() over (order by x), rank() over (order by x), dense_rank() over (order by x), percent_rank() over (order by x), cume_dist() over (order by x) from (values (3), (1), (2), (2)) v(x)
select x, ntile(3) over (order by x), ntile(2) over (order by x) from generate_series(1, 7) g(x)
select ntile(0) over () from generate_series(1, 2)
select x, lag(x) over (order by x), lead(x) over (order by x), lag(x, 2) over (order by x), lead(x, 1, -1) over (order by x), lag(x, null::int) over (order by x) from generate_series(1, 4) g(x)
select x, first_value(x) over (order by x), last_value(x) over (order by x), nth_value(x, 2) over (order by x), last_value(x) over (order by x rows between unbounded preceding and unbounded following) from generate_series(1, 4) g(x)
select nth_value(x, 0) over () from generate_series(1, 2) g(x)
select x, sum(x) over (), sum(x) over (order by x), count(*) over (order by x desc), avg(x) over (order by x rows between 1 preceding and 1 following) from (values (1), (2), (2), (4)) v(x)
select k, x, sum(x) over (partition by k order by x), row_number() over (partition by k order by x desc) from (values ('a', 1), ('b', 5), ('a', 3), ('b', 2), (null, 7)) v(k, x) order by k, x
select x, sum(x) over (order by x range between 1 preceding and 1 following), sum(x) over (order by x desc range between 1 preceding and current row), sum(x) over (order by x groups between 1 preceding and current row), sum(x) over (order by x rows 2 preceding) from (values (1), (2), (2), (4), (5), (null)) v(x)
select x, array_agg(x) over (order by x rows between unbounded preceding and unbounded following exclude current row), array_agg(x) over (order by x range unbounded preceding exclude ties), array_agg(x) over (order by x rows between 1 following and 2 following), count(*) over (order by x groups between 1 preceding and 1 following exclude group) from (values (1), (2), (2), (4)) v(x)
select d, count(*) over (order by d range between interval '1 day' preceding and current row), sum(1) over (order by d desc range between '1 month' preceding and current row) from (values (timestamp '2001-01-01'), ('2001-01-01 12:00'), ('2001-01-02'), ('2001-02-15')) v(d) order by d
select x, sum(x) filter (where x > 1) over (order by x), string_agg(x::text, ',') over (order by x), max(x) over (order by x rows between 2 preceding and 1 preceding) from generate_series(1, 4) g(x)
select sum(x) over (rows -1 preceding) from generate_series(1, 2) g(x)
select rank() over (order by sum(x)), k, sum(x) from (values ('a', 1), ('b', 5), ('a', 3)) v(k, x) group by k
select x, sum(x) over w, count(*) over w from (values (1.5), (2.5)) v(x) window w as (order by x)
select x, sum(x) over (order by x range between 0.5 preceding and 0.5 following) from (values (1.0), (1.5), (2.5)) v(x)
select x from (select x, row_number() over (order by x desc) as rn from generate_series(1, 10) g(x)) s where rn <= 3 order by x
