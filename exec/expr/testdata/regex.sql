select 'thomas' ~ 't.*ma', 'thomas' ~* 'T.*ma', 'thomas' !~ 't.*max', 'thomas' !~* 'T.*ma'
select 'a' ~ '^(a|b)$', 'ab' ~ '^(a|b)$', 'pg_class' ~ '^(pg_class)$', 'x' ~ '[[:alpha:]]', '1' ~ '[[:alpha:]]', 'ä' ~ '^\w$', 'a b' ~ '\s', '9' ~ '\d', 'x' ~ '\D'
select 'a.b' ~ 'a\.b', 'a{b' ~ 'a{b', 'aaa' ~ '^a{2,3}$', 'aaaa' ~ '^a{2,3}$', 'a]b' ~ '[]]', 'a-b' ~ '[a-]b', 'a^b' ~ '[\^]', E'a\nb' ~ 'a.b', E'a\nb' ~ 'a$', E'a\nb' ~ '(?n)a$'
select 'foo bar' ~ '\mbar', 'foobar' ~ '\mbar', 'foo bar' ~ 'foo\M', 'foobar' ~ '\ybar', 'foo bar' ~ '[[:<:]]bar', 'abc' ~ '(?i)ABC', 'a b' ~ '(?x) a \s b # comment', 'a+b' ~ '***=a+b', 'ABC' ~ '***:(?i)abc'
select 'a' ~ '*a'
select 'a' ~ '(a'
select 'a' ~ 'a)'
select 'a' ~ '[a'
select 'a' ~ 'a{2,1}'
select 'a' ~ 'a{300}'
select 'a' ~ 'a\'
select 'a' ~ '[[:foo:]]'
select 'a' ~ '[b-a]'
select substring('foobar' from 'o.b'), substring('foobar' from 'o(.)b'), substring('foobar' from 'x'), substring('foobar', 'o(x)?b')
select regexp_match('foobarbequebaz', 'bar.*que'), regexp_match('foobarbequebaz', '(bar)(beque)'), regexp_match('abc', 'x'), regexp_match('aBc', 'b', 'i'), regexp_match('abc', '(x)?b')
select regexp_match('abc', 'b', 'g')
select regexp_match('abc', 'b', 'z')
select regexp_replace('foobarbaz', 'b..', 'X'), regexp_replace('foobarbaz', 'b..', 'X', 'g'), regexp_replace('foobarbaz', 'b(..)', 'X\1Y', 'g'), regexp_replace('abc', '(b)', '[\&\\]'), regexp_replace('xab', 'x*', '-', 'g'), regexp_replace('abc', 'x*', '-', 'g'), regexp_replace('Hello', 'L', 'x', 'gi')
select regexp_replace('a b  c', '\s+', ' ', 'g'), regexp_replace('äöü', '.', 'x', 'g'), regexp_replace('abc', '^', 'x', 'g'), regexp_replace('aaa', 'a{2}', 'b')
select regexp_split_to_array('hello world', '\s+'), regexp_split_to_array('abc', ''), regexp_split_to_array('a1b22c', '\d+'), regexp_split_to_array('the quick', '\s*'), regexp_split_to_array(',a,', ',')
select * from regexp_split_to_table('the quick fox', '\s+')
select * from regexp_matches('foobarbequebazilbarfbonk', '(b[^b]+)(b[^b]+)', 'g')
select * from regexp_matches('abc', 'x')
select regexp_count('ABCABCAXYaxy', 'A.'), regexp_like('Hello World', 'world$', 'i'), regexp_substr('ABCDEF', 'C.'), regexp_like('a', 'b')
select 'XY1234Z' ~ 'Y*([0-9]{1,3})', substring('XY1234Z', 'Y*([0-9]{1,3})'), substring('XY1234Z', 'Y*?([0-9]{1,3})'), substring('foo' from 'o+?'), substring('abcd', '(a|ab)(c|bcd)?'), substring('abcabc', 'a.*?c')
select 'a1' ~ '^[[:alnum:]_]+$', 'tab	x' ~ '\t', 'é' ~ '^[[:lower:]]$', 'É' ~ '^[[:upper:]]$', '!' ~ '[[:punct:]]', E'\x41' ~ '\x41', 'A' ~ '\u0041'
