package planner

// Aggregates. Strictness here means that rows with a NULL argument are left out; count(any) counts the others. PostgreSQL docs, chapter 9.21.
const aggregateFunctions = `
count() int8
count(any) int8
sum(int2) int8
sum(int4) int8
sum(int8) numeric
sum(float4) float4
sum(float8) float8
sum(numeric) numeric
sum(interval) interval
avg(int2) numeric
avg(int4) numeric
avg(int8) numeric
avg(float4) float8
avg(float8) float8
avg(numeric) numeric
avg(interval) interval
min(int2) int2
min(int4) int4
min(int8) int8
min(float4) float4
min(float8) float8
min(numeric) numeric
min(text) text
min(date) date
min(time) time
min(timestamp) timestamp
min(timestamptz) timestamptz
min(interval) interval
min(oid) oid
min(anyarray) anyarray
min(anyenum) anyenum
max(int2) int2
max(int4) int4
max(int8) int8
max(float4) float4
max(float8) float8
max(numeric) numeric
max(text) text
max(date) date
max(time) time
max(timestamp) timestamp
max(timestamptz) timestamptz
max(interval) interval
max(oid) oid
max(anyarray) anyarray
max(anyenum) anyenum
bool_and(bool) bool
bool_or(bool) bool
every(bool) bool
bit_and(int2) int2
bit_and(int4) int4
bit_and(int8) int8
bit_or(int2) int2
bit_or(int4) int4
bit_or(int8) int8
bit_xor(int2) int2
bit_xor(int4) int4
bit_xor(int8) int8
string_agg(text,text) text ; null ordered
string_agg(bytea,bytea) bytea ; null ordered
array_agg(anyelement) anyarray ; null ordered
json_agg(any) json ; null stable ordered
jsonb_agg(any) jsonb ; null stable ordered
json_object_agg(any,any) json ; null stable ordered
jsonb_object_agg(any,any) jsonb ; null stable ordered
`

// PostgreSQL docs, table 9.62. correlation and stddev_sample are ksqlDB's names of corr and stddev_samp.
const statisticalAggregates = `
var_pop(int2) numeric
var_pop(int4) numeric
var_pop(int8) numeric
var_pop(numeric) numeric
var_pop(float4) float8
var_pop(float8) float8
var_samp(int2) numeric
var_samp(int4) numeric
var_samp(int8) numeric
var_samp(numeric) numeric
var_samp(float4) float8
var_samp(float8) float8
variance(int2) numeric
variance(int4) numeric
variance(int8) numeric
variance(numeric) numeric
variance(float4) float8
variance(float8) float8
stddev_pop(int2) numeric
stddev_pop(int4) numeric
stddev_pop(int8) numeric
stddev_pop(numeric) numeric
stddev_pop(float4) float8
stddev_pop(float8) float8
stddev_samp(int2) numeric
stddev_samp(int4) numeric
stddev_samp(int8) numeric
stddev_samp(numeric) numeric
stddev_samp(float4) float8
stddev_samp(float8) float8
stddev(int2) numeric
stddev(int4) numeric
stddev(int8) numeric
stddev(numeric) numeric
stddev(float4) float8
stddev(float8) float8
stddev_sample(int2) numeric
stddev_sample(int4) numeric
stddev_sample(int8) numeric
stddev_sample(numeric) numeric
stddev_sample(float4) float8
stddev_sample(float8) float8
corr(float8,float8) float8
correlation(float8,float8) float8
covar_pop(float8,float8) float8
covar_samp(float8,float8) float8
regr_avgx(float8,float8) float8
regr_avgy(float8,float8) float8
regr_intercept(float8,float8) float8
regr_r2(float8,float8) float8
regr_slope(float8,float8) float8
regr_sxx(float8,float8) float8
regr_sxy(float8,float8) float8
regr_syy(float8,float8) float8
regr_count(float8,float8) int8
`

// ksqlDB's aggregates. A number of values and whether NULLs are left out are constants. histogram gives a map from texts to bigint.
const ksqlAggregates = `
latest_by_offset(anyelement) anyelement ; ordered
latest_by_offset(anyelement,bool) anyelement ; null ordered
latest_by_offset(anyelement,int4) anyarray ; ordered
latest_by_offset(anyelement,int4,bool) anyarray ; null ordered
earliest_by_offset(anyelement) anyelement ; ordered
earliest_by_offset(anyelement,bool) anyelement ; null ordered
earliest_by_offset(anyelement,int4) anyarray ; ordered
earliest_by_offset(anyelement,int4,bool) anyarray ; null ordered
collect_list(anyelement) anyarray ; null ordered
collect_set(anyelement) anyarray ; null ordered
topk(anyelement,int4) anyarray
topkdistinct(anyelement,int4) anyarray
histogram(any) map ; stable
count_distinct(any) int8
attr(anyelement) anyelement ; null
sum_list(int2[]) int8
sum_list(int4[]) int8
sum_list(int8[]) numeric
sum_list(float4[]) float4
sum_list(float8[]) float8
sum_list(numeric[]) numeric
`

// PostgreSQL docs, tables 9.63 and 9.64.
const orderedSetFunctions = `
percentile_cont(float8,float8) float8
percentile_cont(float8,interval) interval
percentile_cont(float8[],float8) float8[]
percentile_cont(float8[],interval) interval[]
percentile_disc(float8,anyelement) anyelement
percentile_disc(float8[],anyelement) anyarray
mode(anyelement) anyelement
rank(any...) int8 ; null
dense_rank(any...) int8 ; null
percent_rank(any...) float8 ; null
cume_dist(any...) float8 ; null
`
