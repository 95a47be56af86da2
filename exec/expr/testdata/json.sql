select '[1,2,{"a":3}]'::jsonb -> 2, '{"a":{"b":1}}'::jsonb -> 'a', '[1,2]'::jsonb -> -1, '[1,2]'::jsonb -> 5, '{"a":"x"}'::jsonb ->> 'a', '{"a":null}'::jsonb ->> 'a', '[1,"é"]'::jsonb ->> 1, '1'::jsonb -> 'a', '{"a":1}'::jsonb -> 0
select '{"a": {"b": [10, 20]}}'::jsonb #> '{a,b,1}', '{"a": {"b": [10, "x"]}}'::jsonb #>> '{a,b,1}', '{"a":1}'::jsonb #> '{}', '{"a":1}'::jsonb #> '{a,b}', '[1,2]'::jsonb #> '{x}'
select '{"a" : 1, "b":[1, 2]}'::json -> 'b', '{"a":"x\ny"}'::json ->> 'a', '[1, {"x" : 1}]'::json -> 1, '{"a":1,"a":2}'::json -> 'a', '{"a":{"b":2}}'::json #>> '{a,b}'
select '{"a":1,"b":2}'::jsonb @> '{"b":2}', '{"b":2}'::jsonb <@ '{"a":1,"b":2}', '[1,2,[3]]'::jsonb @> '[[3]]', '[1,2]'::jsonb @> '1', '1'::jsonb @> '[1]', '{"a":{"b":1,"c":2}}'::jsonb @> '{"a":{"b":1.0}}', '[1,2]'::jsonb @> '[]', '{}'::jsonb @> '[]'
select '{"a":1}'::jsonb ? 'a', '["a"]'::jsonb ? 'a', '"a"'::jsonb ? 'a', '{"a":1}'::jsonb ?| array['x','a'], '{"a":1}'::jsonb ?& array['x','a'], '[1]'::jsonb ? '1', '{}'::jsonb ?& array[]::text[]
select '{"a":1}'::jsonb || '{"b":2,"a":3}', '[1]'::jsonb || '[2]', '[1]'::jsonb || '2', '1'::jsonb || '2', '{"a":1}'::jsonb || '[1]', '[]'::jsonb || '{"a":1}', '{}'::jsonb || '{}', '1'::jsonb || '{"a":1}'
select '{"a":1,"b":2}'::jsonb - 'a', '["a","b","a"]'::jsonb - 'a', '["a","b"]'::jsonb - 0, '["a","b"]'::jsonb - -1, '{"a":1,"b":2,"c":3}'::jsonb - array['a','c'], '{"a":{"b":1}}'::jsonb #- '{a,b}', '[1,[2,3]]'::jsonb #- '{1,0}', '["a"]'::jsonb - 5
select '1'::jsonb - 'a'
select '{"a":1}'::jsonb - 1
select '1'::jsonb #- '{a}'
select '[1]'::jsonb #- '{x}'
select jsonb_set('{"a":1}', '{a}', '2'), jsonb_set('{"a":1}', '{b}', '2'), jsonb_set('{"a":1}', '{b}', '2', false), jsonb_set('[1,2,3]', '{1}', '9'), jsonb_set('[1]', '{5}', '9'), jsonb_set('[1]', '{-5}', '9'), jsonb_set('{"a":{"b":1}}', '{a,b}', '"x"'), jsonb_set('{"a":[1]}', '{a,-1}', 'null'), jsonb_set('{"a":1}', '{b,c}', '2')
select jsonb_set('1', '{a}', '2')
select jsonb_set('[1]', '{a}', '2')
select jsonb_insert('{"a":[0,1,2]}', '{a,1}', '"new"'), jsonb_insert('{"a":[0,1,2]}', '{a,1}', '"new"', true), jsonb_insert('{"a":1}', '{b}', '2'), jsonb_insert('[1]', '{9}', '2')
select jsonb_insert('{"a":1}', '{a}', '2')
select jsonb_strip_nulls('{"a":null,"b":[null,{"c":null}]}'), json_strip_nulls('{"a":null, "b":1}'), jsonb_pretty('{"a":[1,{"b":2}],"c":"x"}')
select jsonb_typeof('{}'), jsonb_typeof('[]'), jsonb_typeof('"a"'), jsonb_typeof('1.5'), jsonb_typeof('true'), jsonb_typeof('null'), json_typeof(' [1]'), jsonb_array_length('[1,2,3]'), json_array_length('[]')
select jsonb_array_length('{"a":1}')
select json_array_length('1')
select jsonb_extract_path('{"a":{"b":1}}', 'a', 'b'), jsonb_extract_path_text('{"a":["x"]}', 'a', '0'), json_extract_path('{"a":{"b": 1}}', 'a'), json_extract_path_text('{"a":"b"}', 'a')
select to_json('a"b'::text), to_json(1.50), to_json(true), to_json(array[1,null]), to_json(timestamp '2001-02-03 04:05:06.7'), to_json(timestamptz '2001-02-03 04:05:06+00'), to_json(date '2001-02-03'), to_json('NaN'::float8), to_json(interval '1 day'), to_jsonb(1.50), to_jsonb(array['a','b']), to_jsonb('x'::text), to_json('{"a": 1}'::json), to_json('\x01'::bytea)
select json_build_object('a', 1, 'b', null, 3, true), jsonb_build_object('b', 1, 'a', array[1]), json_build_object(), json_build_array(1, 'a', null, 2.5), jsonb_build_array(1, '{"a":1}'::jsonb), jsonb_build_array()
select json_build_object('a')
select jsonb_build_object(null, 1)
select json_build_object(null, 1)
select row_to_json(row(1, 'a')), array_to_json(array[1,2]), to_json(row(1, row('x')))
select * from jsonb_array_elements('[1,"a",null,{"b":2}]')
select * from jsonb_array_elements_text('[1,"a",null,{"b":2}]')
select * from json_array_elements('[1, [2, 3]]')
select * from jsonb_array_elements('{"a":1}')
select * from json_array_elements('1')
select * from jsonb_object_keys('{"b":1,"a":2}')
select * from jsonb_object_keys('[1]')
select * from jsonb_each('{"b":1,"a":"x"}')
select * from jsonb_each_text('{"b":1,"a":"x","c":null}')
select * from json_each('{"b": [1, 2]}')
select * from jsonb_each('[1]')
select * from json_each('[1]')
select '{"a":1}'::jsonb = '{"a":1.0}'::jsonb, '[1,2]'::jsonb < '[1,3]'::jsonb, 'null'::jsonb = 'null'::jsonb, ('{"a":5}'::jsonb -> 'a')::int, ('{"a":true}'::jsonb -> 'a')::bool
