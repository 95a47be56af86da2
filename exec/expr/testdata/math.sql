select 1 + 2, 7 / 2, -7 / 2, 7 % 3, -7 % 3, 2 ^ 10, 2.0 ^ 0.5, |/ 25.0, @ -5, 5 & 3, 5 | 3, 5 # 3, ~5, 1 << 4, 16 >> 2
select 1 / 0
select 2147483647 + 1
select (-2147483648) / (-1)
select 9223372036854775807 * 2
select 32767::int2 + 1::int2
select 1 << 33, 1 << 31, (1::bigint) << 63, (1::int2) << 15, -8 >> 1
select 1.5 + 2.25, 1.5 * 2.25, 10 / 3.0, 7.5 % 2, -2.5::numeric, 1e10::numeric / 3, 0.1 + 0.2, 0.1::float8 + 0.2::float8
select 1.0 / 0
select 'NaN'::numeric + 1, 'Infinity'::numeric - 1, 'NaN'::float8 = 'NaN'::float8, 'NaN'::float8 > 'Infinity'::float8, 1.0 = 1.00, 1.5 > 1
select 1e308::float8 * 10
select 1e-320::float8 / 1e10::float8
select abs(-5), abs(-2.5), ceil(1.2), ceil(-1.2::float8), floor(-1.2), floor(1.7::float8), round(2.5), round(-2.5), round(2.5::float8), round(3.5::float8), round(1.2345, 2), round(1234.5, -2), trunc(1.99), trunc(-1.99::float8), trunc(1.2345, 2), sign(-3.2), sign(0::float8)
select sqrt(2), sqrt(2.0), exp(1), exp(1.0), ln(2.0), ln(2), log(100), log(100.0), log(2.0, 64.0), log10(1000), power(2, 3), power(2.0, 3.0), power(2, -1), power(0, 0)
select sqrt(-1)
select sqrt(-1.0)
select ln(0)
select ln(-1.0)
select log(-1)
select power(0, -1)
select power(-8, 0.5)
select power(-8.0, 0.5)
select exp(1000::float8)
select mod(7, 3), mod(-7, 3), mod(7.5, 2), div(7.0, 2), div(-7.5, 2), gcd(12, 18), gcd(-12, 0), lcm(4, 6), lcm(0, 5), factorial(10), factorial(0)
select factorial(-1)
select gcd((-9223372036854775808), 0)
select lcm(2147483647, 2)
select scale(8.4100), min_scale(8.4100), trim_scale(8.4100), scale('NaN'::numeric)
select width_bucket(5.35, 0.024, 10.06, 5), width_bucket(-1, 0, 10, 5), width_bucket(10, 0, 10, 5), width_bucket(3.0::float8, 10, 0, 5), width_bucket(0.0, 10.0, 0.0, 5), width_bucket(7::numeric, 10, 0, 5)
select width_bucket(1, 0, 10, 0)
select width_bucket(1.0, 5.0, 5.0, 3)
select pi(), degrees(pi()), radians(180), sin(0), cos(0), tan(0), asin(1), acos(1), atan(1), atan2(1, 1), sinh(0), cosh(0), tanh(0)
select asin(2)
select sin('Infinity'::float8)
select 5::int2 / 2::int2, -5::int8 / 2, 5 % -3, (-2147483648) % (-1)
select 3 = 3.0, 1 < 2.5, 2::int8 > 1::int2, 1::float4 = 1, null = 1, 1 <> 2, 5 between 1 and 10, 3 in (1, 2, 3), 3 not in (1, null), 4 in (1, null)
select 1 is distinct from null, null is distinct from null, true and null, false and null, true or null, not null::bool
select to_char(485, '999'), to_char(-485, '999'), to_char(485, '9 9 9'), to_char(1485, '9,999'), to_char(1485, '9G999'), to_char(148.5, '999.999'), to_char(148.5, 'FM999.999'), to_char(148.5, 'FM999.990'), to_char(148.5, '999D999'), to_char(3148.5, '9G999D999')
select to_char(-485, '999S'), to_char(-485, '999MI'), to_char(485, '999MI'), to_char(485, 'FM999MI'), to_char(485, 'PL999'), to_char(485, 'SG999'), to_char(-485, 'SG999'), to_char(-485, '9SG99'), to_char(-485, '999PR'), to_char(485, '999PR'), to_char(-485, 'S999')
select to_char(485, 'L999'), to_char(485, 'RN'), to_char(485, 'FMRN'), to_char(5.2, 'FMRN'), to_char(485, 'FMrn'), to_char(482, '999th'), to_char(1, 'FM9TH'), to_char(11, 'FM99th'), to_char(485, '"Good number:"999'), to_char(485.8, '"Pre:"999" Post:" .999')
select to_char(12, '99V999'), to_char(12.4, '99V999'), to_char(12.45, '99V9'), to_char(0.0004859, '9.99EEEE'), to_char(12345.678, '9.99EEEE'), to_char(0, '9.99EEEE')
select to_char(-0.1, '99.99'), to_char(-0.1, 'FM9.99'), to_char(-0.1, 'FM90.99'), to_char(0.1, '0.9'), to_char(12, '9990999.9'), to_char(12, 'FM9990999.9'), to_char(0.1, '.99'), to_char(0, '9'), to_char(0, 'FM9.9'), to_char(0, '9.9'), to_char(0.5, 'FM9.99'), to_char(0, 'FM999')
select to_char(12345, '999'), to_char(-12345.6, '999.9'), to_char(1234567.891, 'FM9,999,999.00'), to_char(1234.5, 'FM999,999,990.00'), to_char(5, '000'), to_char(-5, '000'), to_char(5, 'FM000'), to_char(1234567, '9,999,999'), to_char(12, '9,999,999'), to_char(1.5::float8, '9.99'), to_char(123456789012345678::int8, '999999999999999999')
select to_char(1e20::float8, '999999999999999999999'), to_char(0.1::float8, 'FM0.999999999999999999'), to_char(125, '999;'), to_char(125.8::float8, '999D9'), to_char(-125.8, '999D99'), to_char('NaN'::float8, '999'), to_char(100, 'FM999D'), to_char(12345.678, 'FM99999.99')
select to_char(1, '9.9.9')
select to_char(1, 'S9S')
select to_char(1, '9.9V9')
select to_char(1, '9.9EEEEFM')
select to_number('12,454.8-', '99G999D9S'), to_number('485', '999'), to_number('-485', 'S999'), to_number('$1,234.56', 'L9,999.99'), to_number('1.5', '9.9'), to_number('  12', '9999'), to_number('<12>', '99PR'), to_number('12-', '99MI'), to_number('123', '9'), to_number('a12', '"a"99')
select to_number('', '999')
select to_number('abc', '999')
