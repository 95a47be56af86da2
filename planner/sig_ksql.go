package planner

// ksqlDB's scalar functions that PostgreSQL has not (ksqlDB reference, "Scalar functions"). Where both have a name, PostgreSQL's
// meaning stands. The units of dateadd and its like may be bare words: see unitCalls.
const ksqlFunctions = `
elt(int4,text...) text ; null
field(text,text...) int4 ; null
from_bytes(bytea,text) text
to_bytes(text,text) bytea
encode(text,text,text) text
instr(text,text,int4) int4
instr(text,text,int4,int4) int4
mask(text) text ; null
mask(text,text,text,text,text) text ; null
mask_left(text,int4) text ; null
mask_left(text,int4,text,text,text,text) text ; null
mask_right(text,int4) text ; null
mask_right(text,int4,text,text,text,text) text ; null
mask_keep_left(text,int4) text ; null
mask_keep_left(text,int4,text,text,text,text) text ; null
mask_keep_right(text,int4) text ; null
mask_keep_right(text,int4,text,text,text,text) text ; null
regexp_extract_all(text,text) text[]
regexp_extract_all(text,text,int4) text[]
split(text,text) text[]
split_to_map(text,text,text) map
array_length(anyarray) int4
array_concat(anyarray,anyarray) anyarray ; null
array_except(anyarray,anyarray) anyarray
array_intersect(anyarray,anyarray) anyarray
array_union(anyarray,anyarray) anyarray
array_join(anyarray) text ; stable
array_join(anyarray,text) text ; stable
array_sort(anyarray,text) anyarray
slice(anyarray,int4,int4) anyarray
as_map(text[],anyarray) map
map_keys(map) text[]
map_values(map) anyarray
map_union(map,map) map ; null
is_json_string(text) bool ; null
json_array_contains(text,any) bool
json_concat(text,text...) text
json_items(text) text[]
json_keys(text) text[]
json_records(text) map
to_json_string(any) text ; null stable
url_encode_param(text) text
url_decode_param(text) text
url_extract_fragment(text) text
url_extract_host(text) text
url_extract_parameter(text,text) text
url_extract_path(text) text
url_extract_port(text) int4
url_extract_protocol(text) text
url_extract_query(text) text
int_from_bytes(bytea) int4
int_from_bytes(bytea,text) int4
bigint_from_bytes(bytea) int8
bigint_from_bytes(bytea,text) int8
double_from_bytes(bytea) float8
double_from_bytes(bytea,text) float8
geo_distance(float8,float8,float8,float8) float8
geo_distance(float8,float8,float8,float8,text) float8
as_value(anyelement) anyelement ; null
convert_tz(timestamp,text,text) timestamp
dateadd(text,int4,date) date
datesub(text,int4,date) date
timeadd(text,int4,time) time
timesub(text,int4,time) time
timestampadd(text,int4,timestamp) timestamp
timestampadd(text,int4,timestamptz) timestamptz ; stable
timestampsub(text,int4,timestamp) timestamp
timestampsub(text,int4,timestamptz) timestamptz ; stable
format_date(date,text) text
format_time(time,text) text
format_timestamp(timestamp,text) text
format_timestamp(timestamptz,text) text ; stable
format_timestamp(timestamptz,text,text) text
parse_date(text,text) date
parse_time(text,text) time
parse_timestamp(text,text) timestamptz ; stable
parse_timestamp(text,text,text) timestamptz
datetostring(int4,text) text
stringtodate(text,text) int4
timestamptostring(int8,text) text ; stable
timestamptostring(int8,text,text) text
stringtotimestamp(text,text) int8 ; stable
stringtotimestamp(text,text,text) int8
`
