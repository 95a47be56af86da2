package planner

// Functions that ask about the session or the catalog; the engine answers them through the evaluation environment. PostgreSQL
// docs, chapter 9.26. An any argument stands for an OID or a name of the object.
const catalogFunctions = `
version() text ; session
current_database() name ; session
current_catalog() name ; session
current_schema() name ; session
current_schemas(bool) name[] ; session
current_user() name ; session
current_role() name ; session
session_user() name ; session
user() name ; session
current_query() text ; session
current_setting(text) text ; session
current_setting(text,bool) text ; session
set_config(text,text,bool) text ; session volatile null
txid_current() int8 ; session volatile
age(int8) int4 ; session
pg_current_xact_id() int8 ; session volatile
pg_backend_pid() int4 ; session
pg_blocking_pids(int4) int4[] ; session
pg_is_in_recovery() bool ; session
pg_postmaster_start_time() timestamptz ; session
pg_conf_load_time() timestamptz ; session
pg_my_temp_schema() oid ; session
pg_is_other_temp_schema(oid) bool ; session
inet_server_addr() text ; session
inet_server_port() int4 ; session
inet_client_addr() text ; session
inet_client_port() int4 ; session
pg_sleep(float8) void ; session volatile
pg_notify(text,text) void ; session volatile null
pg_cancel_backend(int4) bool ; session volatile
pg_terminate_backend(int4) bool ; session volatile
pg_advisory_lock(int8) void ; session volatile
pg_advisory_unlock(int8) bool ; session volatile
pg_advisory_unlock_all() void ; session volatile
pg_try_advisory_lock(int8) bool ; session volatile
pg_advisory_xact_lock(int8) void ; session volatile
nextval(regclass) int8 ; session volatile
currval(regclass) int8 ; session volatile
setval(regclass,int8) int8 ; session volatile
setval(regclass,int8,bool) int8 ; session volatile
lastval() int8 ; session volatile
pg_table_is_visible(oid) bool ; session
pg_type_is_visible(oid) bool ; session
pg_function_is_visible(oid) bool ; session
pg_operator_is_visible(oid) bool ; session
pg_opclass_is_visible(oid) bool ; session
pg_opfamily_is_visible(oid) bool ; session
pg_collation_is_visible(oid) bool ; session
pg_conversion_is_visible(oid) bool ; session
pg_statistics_obj_is_visible(oid) bool ; session
pg_ts_config_is_visible(oid) bool ; session
pg_ts_dict_is_visible(oid) bool ; session
pg_ts_parser_is_visible(oid) bool ; session
pg_ts_template_is_visible(oid) bool ; session
format_type(oid,int4) text ; session null
pg_get_userbyid(oid) name ; session
pg_get_expr(text,oid) text ; session
pg_get_expr(text,oid,bool) text ; session
pg_get_constraintdef(oid) text ; session
pg_get_constraintdef(oid,bool) text ; session
pg_get_indexdef(oid) text ; session
pg_get_indexdef(oid,int4,bool) text ; session
pg_get_viewdef(oid) text ; session
pg_get_viewdef(oid,bool) text ; session
pg_get_viewdef(oid,int4) text ; session
pg_get_viewdef(text) text ; session
acldefault(char,oid) text[] ; session
pg_indexam_has_property(oid,text) bool ; session
pg_get_ruledef(oid) text ; session
pg_get_ruledef(oid,bool) text ; session
pg_get_triggerdef(oid) text ; session
pg_get_triggerdef(oid,bool) text ; session
pg_get_functiondef(oid) text ; session
pg_get_function_arguments(oid) text ; session
pg_get_function_identity_arguments(oid) text ; session
pg_get_function_result(oid) text ; session
pg_get_function_sqlbody(oid) text ; session
pg_get_statisticsobjdef(oid) text ; session
pg_get_statisticsobjdef_columns(oid) text ; session
pg_get_partkeydef(oid) text ; session
pg_get_partition_constraintdef(oid) text ; session
pg_get_serial_sequence(text,text) text ; session
pg_relation_is_publishable(regclass) bool ; session
pg_relation_is_updatable(regclass,bool) int4 ; session
pg_column_is_updatable(regclass,int2,bool) bool ; session
pg_encoding_to_char(int4) name ; session
pg_char_to_encoding(name) int4 ; session
pg_client_encoding() name ; session
getdatabaseencoding() name ; session
pg_tablespace_location(oid) text ; session
pg_tablespace_size(oid) int8 ; session
pg_database_size(oid) int8 ; session
pg_database_size(name) int8 ; session
pg_table_size(regclass) int8 ; session
pg_indexes_size(regclass) int8 ; session
pg_relation_size(regclass) int8 ; session
pg_relation_size(regclass,text) int8 ; session
pg_total_relation_size(regclass) int8 ; session
pg_size_pretty(int8) text
pg_size_pretty(numeric) text
pg_column_size(any) int4
pg_stat_get_numscans(oid) int8 ; session
pg_stat_get_live_tuples(oid) int8 ; session
pg_relation_filenode(regclass) oid ; session
pg_filenode_relation(oid,oid) regclass ; session
pg_has_role(name,text) bool ; session
pg_has_role(oid,text) bool ; session
pg_has_role(name,oid,text) bool ; session
pg_has_role(name,name,text) bool ; session
has_database_privilege(oid,text) bool ; session
has_database_privilege(text,text) bool ; session
has_database_privilege(name,oid,text) bool ; session
has_database_privilege(name,text,text) bool ; session
has_schema_privilege(oid,text) bool ; session
has_schema_privilege(text,text) bool ; session
has_schema_privilege(name,oid,text) bool ; session
has_schema_privilege(name,text,text) bool ; session
has_table_privilege(oid,text) bool ; session
has_table_privilege(text,text) bool ; session
has_table_privilege(name,oid,text) bool ; session
has_table_privilege(name,text,text) bool ; session
has_column_privilege(oid,text,text) bool ; session
has_column_privilege(text,text,text) bool ; session
has_column_privilege(oid,int2,text) bool ; session
has_column_privilege(name,oid,text,text) bool ; session
has_column_privilege(name,text,text,text) bool ; session
has_any_column_privilege(name,oid,text) bool ; session
has_any_column_privilege(name,text,text) bool ; session
has_any_column_privilege(oid,text) bool ; session
has_any_column_privilege(text,text) bool ; session
has_sequence_privilege(oid,text) bool ; session
has_sequence_privilege(text,text) bool ; session
has_function_privilege(oid,text) bool ; session
has_function_privilege(text,text) bool ; session
has_function_privilege(name,oid,text) bool ; session
has_function_privilege(name,text,text) bool ; session
has_type_privilege(oid,text) bool ; session
has_type_privilege(text,text) bool ; session
has_type_privilege(name,oid,text) bool ; session
has_type_privilege(name,text,text) bool ; session
has_language_privilege(oid,text) bool ; session
has_tablespace_privilege(oid,text) bool ; session
obj_description(oid) text ; session
obj_description(oid,name) text ; session
col_description(oid,int4) text ; session
shobj_description(oid,name) text ; session
to_regclass(text) regclass ; session
to_regtype(text) regtype ; session
to_regproc(text) regproc ; session
to_regnamespace(text) regnamespace ; session
to_regrole(text) regrole ; session
`
