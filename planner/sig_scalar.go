package planner

// PostgreSQL docs, chapter 9.3; the last lines are ksqlDB's names.
const mathFunctions = `
abs(int2) int2
abs(int4) int4
abs(int8) int8
abs(float4) float4
abs(float8) float8
abs(numeric) numeric
ceil(float8) float8
ceil(numeric) numeric
ceiling(float8) float8
ceiling(numeric) numeric
floor(float8) float8
floor(numeric) numeric
round(float8) float8
round(numeric) numeric
round(numeric,int4) numeric
trunc(float8) float8
trunc(numeric) numeric
trunc(numeric,int4) numeric
sign(float8) float8
sign(numeric) numeric
sqrt(float8) float8
sqrt(numeric) numeric
cbrt(float8) float8
exp(float8) float8
exp(numeric) numeric
ln(float8) float8
ln(numeric) numeric
log(float8) float8
log(numeric) numeric
log(numeric,numeric) numeric
log10(float8) float8
log10(numeric) numeric
power(float8,float8) float8
power(numeric,numeric) numeric
pow(float8,float8) float8
pow(numeric,numeric) numeric
mod(int2,int2) int2
mod(int4,int4) int4
mod(int8,int8) int8
mod(numeric,numeric) numeric
div(numeric,numeric) numeric
gcd(int4,int4) int4
gcd(int8,int8) int8
gcd(numeric,numeric) numeric
lcm(int4,int4) int4
lcm(int8,int8) int8
lcm(numeric,numeric) numeric
factorial(int8) numeric
scale(numeric) int4
min_scale(numeric) int4
trim_scale(numeric) numeric
width_bucket(float8,float8,float8,int4) int4
width_bucket(numeric,numeric,numeric,int4) int4
width_bucket(anyelement,anyarray) int4
pi() float8
degrees(float8) float8
radians(float8) float8
sin(float8) float8
cos(float8) float8
tan(float8) float8
cot(float8) float8
asin(float8) float8
acos(float8) float8
atan(float8) float8
atan2(float8,float8) float8
asinh(float8) float8
acosh(float8) float8
atanh(float8) float8
sind(float8) float8
cosd(float8) float8
tand(float8) float8
cotd(float8) float8
asind(float8) float8
acosd(float8) float8
atand(float8) float8
atan2d(float8,float8) float8
sinh(float8) float8
cosh(float8) float8
tanh(float8) float8
random() float8 ; volatile
`

// PostgreSQL docs, chapters 9.4, 9.5 and 9.7.
const textFunctions = `
length(text) int4
length(bytea) int4
char_length(text) int4
character_length(text) int4
octet_length(text) int4
octet_length(bytea) int4
bit_length(text) int4
bit_length(bytea) int4
lower(text) text
upper(text) text
lcase(text) text
ucase(text) text
len(text) int4
initcap(text) text
substring(text,int4) text
substring(text,int4,int4) text
substring(text,text) text
substring(bytea,int4) bytea
substring(bytea,int4,int4) bytea
substr(text,int4) text
substr(text,int4,int4) text
left(text,int4) text
right(text,int4) text
btrim(text) text
btrim(text,text) text
btrim(bytea,bytea) bytea
ltrim(text) text
ltrim(text,text) text
ltrim(bytea,bytea) bytea
rtrim(text) text
rtrim(text,text) text
rtrim(bytea,bytea) bytea
lpad(text,int4) text
lpad(text,int4,text) text
rpad(text,int4) text
rpad(text,int4,text) text
position(text,text) int4
position(bytea,bytea) int4
strpos(text,text) int4
instr(text,text) int4
overlay(text,text,int4) text
overlay(text,text,int4,int4) text
overlay(bytea,bytea,int4) bytea
overlay(bytea,bytea,int4,int4) bytea
replace(text,text,text) text
translate(text,text,text) text
reverse(text) text
repeat(text,int4) text
split_part(text,text,int4) text
starts_with(text,text) bool
ascii(text) int4
chr(int4) text
unistr(text) text
normalize(text) text
normalize(text,text) text
to_hex(int4) text
to_hex(int8) text
concat(any...) text ; null stable
concat_ws(text,any...) text ; null stable
format(text) text
format(text,any...) text ; null stable
quote_ident(text) text
quote_literal(text) text
quote_literal(any) text ; stable
quote_nullable(text) text ; null
quote_nullable(any) text ; null stable
md5(text) text
md5(bytea) text
sha224(bytea) bytea
sha256(bytea) bytea
sha384(bytea) bytea
sha512(bytea) bytea
encode(bytea,text) text
decode(text,text) bytea
convert_from(bytea,text) text
convert_to(text,text) bytea
get_byte(bytea,int4) int4
set_byte(bytea,int4,int4) bytea
get_bit(bytea,int8) int4
set_bit(bytea,int8,int4) bytea
bit_count(bytea) int8
like_escape(text,text) text
similar_to_escape(text) text
similar_to_escape(text,text) text
regexp_match(text,text) text[]
regexp_match(text,text,text) text[]
regexp_replace(text,text,text) text
regexp_replace(text,text,text,text) text
regexp_replace(text,text,text,int4) text
regexp_replace(text,text,text,int4,int4) text
regexp_replace(text,text,text,int4,int4,text) text
regexp_split_to_array(text,text) text[]
regexp_split_to_array(text,text,text) text[]
regexp_count(text,text) int4
regexp_count(text,text,int4) int4
regexp_count(text,text,int4,text) int4
regexp_instr(text,text) int4
regexp_instr(text,text,int4) int4
regexp_instr(text,text,int4,int4) int4
regexp_instr(text,text,int4,int4,int4) int4
regexp_instr(text,text,int4,int4,int4,text) int4
regexp_instr(text,text,int4,int4,int4,text,int4) int4
regexp_like(text,text) bool
regexp_like(text,text,text) bool
regexp_substr(text,text) text
regexp_substr(text,text,int4) text
regexp_substr(text,text,int4,int4) text
regexp_substr(text,text,int4,int4,text) text
regexp_substr(text,text,int4,int4,text,int4) text
regexp_extract(text,text) text
regexp_extract(text,text,int4) text
string_to_array(text,text) text[] ; null
string_to_array(text,text,text) text[] ; null
to_char(int4,text) text
to_char(int8,text) text
to_char(float8,text) text
to_char(numeric,text) text
to_number(text,text) numeric
`

// PostgreSQL docs, chapter 9.9. AT TIME ZONE is timezone(zone, value). Values read under the session's TimeZone are stable.
const timeFunctions = `
now() timestamptz ; stable
transaction_timestamp() timestamptz ; stable
statement_timestamp() timestamptz ; stable
clock_timestamp() timestamptz ; volatile
current_date() date ; stable
current_time() time ; stable
localtime() time ; stable
localtimestamp() timestamp ; stable
timeofday() text ; volatile
age(timestamp,timestamp) interval
age(timestamptz,timestamptz) interval ; stable
age(timestamp) interval ; stable
age(timestamptz) interval ; stable
date_trunc(text,timestamp) timestamp
date_trunc(text,timestamptz) timestamptz ; stable
date_trunc(text,timestamptz,text) timestamptz ; stable
date_trunc(text,interval) interval
date_bin(interval,timestamp,timestamp) timestamp
date_bin(interval,timestamptz,timestamptz) timestamptz
extract(text,date) numeric
extract(text,time) numeric
extract(text,timestamp) numeric
extract(text,timestamptz) numeric ; stable
extract(text,interval) numeric
date_part(text,date) float8
date_part(text,time) float8
date_part(text,timestamp) float8
date_part(text,timestamptz) float8 ; stable
date_part(text,interval) float8
timezone(text,timestamptz) timestamp
timezone(text,timestamp) timestamptz
timezone(interval,timestamptz) timestamp
timezone(interval,timestamp) timestamptz
overlaps(timestamp,timestamp,timestamp,timestamp) bool ; null
overlaps(timestamp,timestamp,timestamp,interval) bool ; null
overlaps(timestamp,interval,timestamp,timestamp) bool ; null
overlaps(timestamp,interval,timestamp,interval) bool ; null
overlaps(timestamptz,timestamptz,timestamptz,timestamptz) bool ; null stable
overlaps(timestamptz,timestamptz,timestamptz,interval) bool ; null stable
overlaps(timestamptz,interval,timestamptz,timestamptz) bool ; null stable
overlaps(timestamptz,interval,timestamptz,interval) bool ; null stable
overlaps(time,time,time,time) bool ; null
overlaps(time,time,time,interval) bool ; null
overlaps(time,interval,time,time) bool ; null
overlaps(time,interval,time,interval) bool ; null
make_date(int4,int4,int4) date
make_time(int4,int4,float8) time
make_timestamp(int4,int4,int4,int4,int4,float8) timestamp
make_timestamptz(int4,int4,int4,int4,int4,float8) timestamptz ; stable
make_timestamptz(int4,int4,int4,int4,int4,float8,text) timestamptz
make_interval(int4,int4,int4,int4,int4,int4,float8) interval
justify_days(interval) interval
justify_hours(interval) interval
justify_interval(interval) interval
isfinite(date) bool
isfinite(timestamp) bool
isfinite(timestamptz) bool
isfinite(interval) bool
to_timestamp(float8) timestamptz
to_timestamp(text,text) timestamptz ; stable
to_date(text,text) date
to_char(timestamp,text) text ; stable
to_char(timestamptz,text) text ; stable
to_char(interval,text) text
unix_timestamp() int8 ; stable
unix_timestamp(timestamptz) int8
from_unixtime(int8) timestamptz
unix_date(date) int4
from_days(int4) date
`

// PostgreSQL docs, chapter 9.16.
const jsonFunctions = `
to_json(any) json ; stable
to_jsonb(any) jsonb ; stable
row_to_json(record) json ; stable
array_to_json(anyarray) json ; stable
json_build_object() json
json_build_object(any...) json ; null stable
jsonb_build_object() jsonb
jsonb_build_object(any...) jsonb ; null stable
json_build_array() json
json_build_array(any...) json ; null stable
jsonb_build_array() jsonb
jsonb_build_array(any...) jsonb ; null stable
json_typeof(json) text
jsonb_typeof(jsonb) text
_pg_record_of(jsonb,text) jsonb
json_array_length(json) int4
jsonb_array_length(jsonb) int4
jsonb_extract_path(jsonb,text...) jsonb
jsonb_extract_path_text(jsonb,text...) text
json_extract_path(json,text...) json
json_extract_path_text(json,text...) text
jsonb_set(jsonb,text[],jsonb) jsonb
jsonb_set(jsonb,text[],jsonb,bool) jsonb
jsonb_set_lax(jsonb,text[],jsonb) jsonb ; null
jsonb_set_lax(jsonb,text[],jsonb,bool) jsonb ; null
jsonb_set_lax(jsonb,text[],jsonb,bool,text) jsonb ; null
jsonb_object(text[]) jsonb
jsonb_object(text[],text[]) jsonb
jsonb_insert(jsonb,text[],jsonb) jsonb
jsonb_insert(jsonb,text[],jsonb,bool) jsonb
jsonb_strip_nulls(jsonb) jsonb
json_strip_nulls(json) json
jsonb_pretty(jsonb) text
jsonb_contains(jsonb,jsonb) bool
jsonb_path_exists(jsonb,jsonpath) bool
jsonb_path_exists(jsonb,jsonpath,jsonb) bool
jsonb_path_exists(jsonb,jsonpath,jsonb,bool) bool
jsonb_path_match(jsonb,jsonpath) bool
jsonb_path_match(jsonb,jsonpath,jsonb) bool
jsonb_path_match(jsonb,jsonpath,jsonb,bool) bool
jsonb_path_query_array(jsonb,jsonpath) jsonb
jsonb_path_query_array(jsonb,jsonpath,jsonb) jsonb
jsonb_path_query_array(jsonb,jsonpath,jsonb,bool) jsonb
jsonb_path_query_first(jsonb,jsonpath) jsonb
jsonb_path_query_first(jsonb,jsonpath,jsonb) jsonb
jsonb_path_query_first(jsonb,jsonpath,jsonb,bool) jsonb
jsonb_exists(jsonb,text) bool
extractjsonfield(text,text) text
`

// PostgreSQL docs, chapter 9.10.
const enumFunctions = `
enum_first(anyenum) anyenum ; null stable
enum_last(anyenum) anyenum ; null stable
enum_range(anyenum) anyarray ; null stable
enum_range(anyenum,anyenum) anyarray ; null stable
`

// PostgreSQL docs, chapter 9.19, and ksqlDB's array functions.
const arrayFunctions = `
array_length(anyarray,int4) int4
array_lower(anyarray,int4) int4
array_upper(anyarray,int4) int4
array_ndims(anyarray) int4
array_dims(anyarray) text
cardinality(anyarray) int4
array_append(anyarray,anyelement) anyarray ; null
array_prepend(anyelement,anyarray) anyarray ; null
array_cat(anyarray,anyarray) anyarray ; null
array_remove(anyarray,anyelement) anyarray ; null
array_replace(anyarray,anyelement,anyelement) anyarray ; null
array_position(anyarray,anyelement) int4 ; null
array_position(anyarray,anyelement,int4) int4 ; null
array_positions(anyarray,anyelement) int4[] ; null
array_to_string(anyarray,text) text ; stable
array_to_string(anyarray,text,text) text ; stable null
array_fill(anyelement,int4[]) anyarray ; null
trim_array(anyarray,int4) anyarray
array_contains(anyarray,anyelement) bool
array_distinct(anyarray) anyarray
array_max(anyarray) anyelement
array_min(anyarray) anyelement
array_sort(anyarray) anyarray
`

// What belongs to no family. map_get is m['k'] spelled as a function; greatest and least skip NULLs.
const mixedFunctions = `
greatest(anyelement...) anyelement ; null
least(anyelement...) anyelement ; null
num_nulls(any...) int4 ; null
num_nonnulls(any...) int4 ; null
gen_random_uuid() uuid ; volatile
uuid() uuid ; volatile
hashtext(text) int4
pg_typeof(any) regtype ; null stable
`

// PostgreSQL docs, table 9.64.
const windowFunctions = `
row_number() int8
rank() int8
dense_rank() int8
percent_rank() float8
cume_dist() float8
ntile(int4) int4
lag(anyelement) anyelement ; null
lag(anyelement,int4) anyelement ; null
lag(anyelement,int4,anyelement) anyelement ; null
lead(anyelement) anyelement ; null
lead(anyelement,int4) anyelement ; null
lead(anyelement,int4,anyelement) anyelement ; null
first_value(anyelement) anyelement ; null
last_value(anyelement) anyelement ; null
nth_value(anyelement,int4) anyelement ; null
`

// Set-returning functions. Without cols the one column has the function's name. PostgreSQL docs, chapter 9.25.
const setFunctions = `
generate_series(int4,int4) int4
generate_series(int4,int4,int4) int4
generate_series(int8,int8) int8
generate_series(int8,int8,int8) int8
generate_series(numeric,numeric) numeric
generate_series(numeric,numeric,numeric) numeric
generate_series(timestamp,timestamp,interval) timestamp
generate_series(timestamptz,timestamptz,interval) timestamptz ; stable
unnest(anyarray) anyelement
explode(anyarray) anyelement
cube_explode(anyarray) anyarray
generate_subscripts(anyarray,int4) int4
generate_subscripts(anyarray,int4,bool) int4
_pg_expandarray(anyarray) record ; cols=x:anyelement,n:int4
regexp_matches(text,text) text[]
regexp_matches(text,text,text) text[]
regexp_split_to_table(text,text) text
string_to_table(text,text) text ; null
string_to_table(text,text,text) text ; null
jsonb_array_elements(jsonb) jsonb ; cols=value:jsonb
jsonb_path_query(jsonb,jsonpath) jsonb
jsonb_path_query(jsonb,jsonpath,jsonb) jsonb
jsonb_path_query(jsonb,jsonpath,jsonb,bool) jsonb
jsonb_array_elements_text(jsonb) text ; cols=value:text
jsonb_object_keys(jsonb) text
jsonb_each(jsonb) record ; cols=key:text,value:jsonb
jsonb_each_text(jsonb) record ; cols=key:text,value:text
json_array_elements(json) json ; cols=value:json
json_array_elements_text(json) text ; cols=value:text
json_object_keys(json) text
json_each(json) record ; cols=key:text,value:json
json_each_text(json) record ; cols=key:text,value:text
pg_partition_ancestors(regclass) regclass ; session cols=relid:regclass
pg_listening_channels() text ; session
pg_show_all_settings() record ; session cols=name:text,setting:text,category:text,short_desc:text,context:text,vartype:text,source:text,boot_val:text,reset_val:text
pg_options_to_table(text[]) record ; session cols=option_name:text,option_value:text
pg_timezone_names() record ; session cols=name:text,abbrev:text,utc_offset:interval,is_dst:bool
pg_get_keywords() record ; session cols=word:text,catcode:char,barelabel:bool,catdesc:text,baredesc:text
aclexplode(text[]) record ; cols=grantor:oid,grantee:oid,privilege_type:text,is_grantable:bool
`
