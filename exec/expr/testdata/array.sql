select array[1,2] || array[3], array[1,2] || 3, 0 || array[1,2], array_append(array[1], null), array_prepend(0, null::int[]), array_cat(null, array[1]), null::int[] || null::int[]
select array[1,2,3] @> array[2,1], array[2] <@ array[1,2], array[1,2] && array[2,3], array[1,null] @> array[null]::int[], array[1] && array[]::int[], array['a'] @> array['a','a']
select array_length(array[1,2,3], 1), array_length(array[1], 2), array_length('{}'::int[], 1), array_lower(array[1], 1), array_upper(array[1,2], 1), array_ndims(array[1]), array_dims(array[1,2]), cardinality(array[1,2]), cardinality('{}'::int[])
select array_position(array['a','b','c'], 'b'), array_position(array[1,2,1], 1, 2), array_position(array[1,null], null), array_position(array[1], 5), array_positions(array[1,2,1], 1), array_positions(array[1], 2)
select array_remove(array[1,2,1,null], 1), array_remove(array[1,null], null), array_replace(array[1,2,1], 1, 9), array_fill(7, array[3]), trim_array(array[1,2,3], 1), array_to_string(array[1,2,null,3], ','), array_to_string(array[1,null], ',', '*'), array_to_string(array[true,false], '-')
select trim_array(array[1], 2)
select (array[1,2,3])[2], (array[1,2,3])[5], (array[1,2,3])[2:3], (array[1,2,3])[:2], 2 = any(array[1,2]), 2 = all(array[2,2]), 1 = any(array[2,null]), 3 > all('{}'::int[]), array[1,2] = array[1,2], array[1,2] < array[1,3], array[1] <> array[2]
select unnest(array[1,2,null])
select * from unnest(array['a','b']) with ordinality
select * from generate_series(1, 5, 2)
select * from generate_series(5, 1, -2)
select * from generate_series(1, 3)
select * from generate_series(3, 1)
select * from generate_series(1.1, 2.2, 0.5)
select * from generate_series(1, 2, 0)
select * from generate_series(2147483646, 2147483647)
select generate_subscripts(array['x','y','z'], 1), generate_subscripts(array['x','y'], 1, true)
select string_to_table('a,b,c', ',')
select count(*), count(x), sum(x), avg(x), min(x), max(x) from (values (1), (2), (null), (4)) v(x)
select sum(x), avg(x), min(x), max(x) from (values (1.5), (2.25), (null)) v(x)
select sum(x), avg(x), min(x), max(x) from (values (1.5::float8), (2.25::float8), ('NaN'::float8)) v(x)
select sum(x), avg(x), max(x) from (values (9223372036854775807), (9223372036854775807)) v(x)
select count(x), sum(x), avg(x), min(x), bool_and(x > 1), string_agg(x::text, ','), array_agg(x) from (values (1)) v(x) where x > 5
select bool_and(x), bool_or(x), every(x) from (values (true), (false), (null)) v(x)
select string_agg(x, ',' order by x desc), array_agg(x order by x), string_agg(distinct x, '-'), array_agg(x) from (values ('b'), ('a'), (null), ('b')) v(x)
select sum(i), avg(i), min(i), max(i) from (values (interval '1 day'), (interval '25 hours')) v(i)
select count(distinct x), sum(distinct x), count(*) filter (where x > 1) from (values (1), (1), (2), (3)) v(x)
select x % 2 as k, count(*), sum(x) from generate_series(1, 10) g(x) group by 1 having sum(x) > 25 order by 1
