select '42'::int, ' 42 '::int, '4.2'::numeric::int, 4.5::int, 5.5::int, -4.5::int, 2.5::float8::int, 3.5::float8::int, '1e3'::float8::int
select 'x'::int
select 3000000000::int
select 1e10::float8::int
select 'NaN'::float8::int
select 'NaN'::numeric::int
select 40000::int2
select 1::bool, 0::bool, true::int, 'yes'::bool, 'off'::bool, true::text, 't'::bool
select 'maybe'::bool
select 1.005::numeric(5,2), 12345.678::numeric(10,1), 1::numeric(3,1), '1.5'::numeric(4,3)
select 1234.5::numeric(4,2)
select 'abcdef'::varchar(3), 'ab'::varchar(3), 'abc'::text::varchar, 5::varchar(1)
select 1.1::float4, 1.1::float4::float8, 1e10::float4, 0.1::float8::float4, 1::float4 / 3, 123456789::float4
select 1e300::float8::float4
select 1.5::float8::numeric, 0.1::float4::numeric, 123456789.123456789::float8::numeric, 1e20::float8::numeric, 'NaN'::float8::numeric
select '2001-02-03'::date, '2001-02-03 04:05:06'::timestamp::date, '2001-02-03 04:05:06+02'::timestamptz, '2001-02-03'::date::timestamptz, '2001-02-03 04:05:06'::timestamp::time, '04:05'::time::interval, interval '27 hours'::time, '2001-02-03 04:05:06.789'::timestamp(0)
select 'foo'::date
select '2001-02-30'::date
select '1 day 2 hours'::interval, 'P1DT2H'::interval, interval '1-2' year to month
select '{1,2,3}'::int[], '{1.5,2.5}'::numeric[]::int[], array[1,2]::text[], '{a,b,NULL,"x y"}'::text[], array['1','2']::int[], '{}'::int[]
select '{1,x}'::int[]
select '{1'::int[]
select '[1, 2]'::json::jsonb, '{"b":1,"a":2}'::jsonb::json, '{"a": 1}'::jsonb::text, '"x"'::jsonb::text, '1.50'::jsonb::numeric, 'true'::jsonb::bool, '42.7'::jsonb::int
select '{'::jsonb
select '"x"'::jsonb::int
select '[1]'::jsonb::bool
select 'A'::"char", 65::"char", 'abc'::"char", 'A'::"char"::int, 'name'::name, 123::oid, '123'::oid, (-1)::oid
select '\x4142'::bytea, 'abc'::bytea, '\x4142'::bytea::text, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}'::uuid
select 'zz'::uuid
select cast('5' as int) + 1, '5' + 1, 5 || '', 'a' || 5, 1 + 1.5, 1 + 1.5::float8, 2::int2 + 3::int8
select case when true then 1 else 2.5 end, coalesce(null, 5, 1.5), array[1, 2.5], greatest(1, 2.5, 2::float8)
select row(1, 'a', null), row(1, 2) = row(1, 2), row(1, 2) < row(1, 3), (1, null) = (1, 2), row(1, null) is null, (row(1, 2)).f1
select true and null, false or null, null is unknown, (null = 1) is not true, not (1 = 2), 1 = 1 is true
select date '2001-01-01' = timestamp '2001-01-01', 1 = 1.0::float8, 'a'::name = 'a', '1' = 1, array[1,2]::bigint[] = array[1,2]::bigint[]
