package planner

import (
	"fmt"
	"strings"

	"github.com/millracedb/millrace/sql/types"
)

// comparableKinds have the six comparison operators between two values of the same kind. Mixed numeric kinds meet through
// implicit casts, so no overload mixes kinds.
var comparableKinds = []types.Kind{
	types.Bool, types.Int2, types.Int4, types.Int8, types.Float4, types.Float8, types.Numeric, types.Text, types.Bytea,
	types.Date, types.Time, types.Timestamp, types.TimestampTZ, types.Interval, types.UUID, types.JSONB, types.OID, types.Name, types.Char,
	types.OIDVector, types.AnyArray, types.Record, types.AnyEnum,
}

var comparisonNames = []string{"=", "<>", "<", "<=", ">", ">="}

func comparisonOperators() string {
	var b strings.Builder
	for _, k := range comparableKinds {
		for _, op := range comparisonNames {
			fmt.Fprintf(&b, "%s(%s,%s) bool\n", op, kindNames[k], kindNames[k])
		}
	}
	return b.String()
}

// A prefix operator has one argument: "-(int4)". PostgreSQL docs, chapter 9.3.
const arithmeticOperators = `
+(int2,int2) int2
+(int4,int4) int4
+(int8,int8) int8
+(float4,float4) float4
+(float8,float8) float8
+(numeric,numeric) numeric
-(int2,int2) int2
-(int4,int4) int4
-(int8,int8) int8
-(float4,float4) float4
-(float8,float8) float8
-(numeric,numeric) numeric
*(int2,int2) int2
*(int4,int4) int4
*(int8,int8) int8
*(float4,float4) float4
*(float8,float8) float8
*(numeric,numeric) numeric
/(int2,int2) int2
/(int4,int4) int4
/(int8,int8) int8
/(float4,float4) float4
/(float8,float8) float8
/(numeric,numeric) numeric
%(int2,int2) int2
%(int4,int4) int4
%(int8,int8) int8
%(numeric,numeric) numeric
^(float8,float8) float8
^(numeric,numeric) numeric
+(int2) int2
+(int4) int4
+(int8) int8
+(float4) float4
+(float8) float8
+(numeric) numeric
-(int2) int2
-(int4) int4
-(int8) int8
-(float4) float4
-(float8) float8
-(numeric) numeric
@(int2) int2
@(int4) int4
@(int8) int8
@(float4) float4
@(float8) float8
@(numeric) numeric
|/(float8) float8
||/(float8) float8
&(int2,int2) int2
&(int4,int4) int4
&(int8,int8) int8
|(int2,int2) int2
|(int4,int4) int4
|(int8,int8) int8
#(int2,int2) int2
#(int4,int4) int4
#(int8,int8) int8
<<(int2,int4) int2
<<(int4,int4) int4
<<(int8,int4) int8
>>(int2,int4) int2
>>(int4,int4) int4
>>(int8,int4) int8
~(int2) int2
~(int4) int4
~(int8) int8
`

// PostgreSQL docs, table 9.32. Those that need the session's time zone are stable.
const timeOperators = `
+(date,int4) date
+(int4,date) date
+(date,interval) timestamp
+(interval,date) timestamp
+(date,time) timestamp
+(time,date) timestamp
+(timestamp,interval) timestamp
+(interval,timestamp) timestamp
+(timestamptz,interval) timestamptz ; stable
+(interval,timestamptz) timestamptz ; stable
+(time,interval) time
+(interval,time) time
+(interval,interval) interval
-(date,date) int4
-(date,int4) date
-(date,interval) timestamp
-(timestamp,timestamp) interval
-(timestamptz,timestamptz) interval
-(timestamp,interval) timestamp
-(timestamptz,interval) timestamptz ; stable
-(time,time) interval
-(time,interval) time
-(interval,interval) interval
-(interval) interval
*(interval,float8) interval
*(float8,interval) interval
/(interval,float8) interval
`

// LIKE is ~~, ILIKE ~~*, their negations have a ! in front. In || the kind any stands for every type that is not an array.
const textOperators = `
||(text,text) text
||(text,any) text ; stable
||(any,text) text ; stable
||(bytea,bytea) bytea
~~(text,text) bool
!~~(text,text) bool
~~*(text,text) bool
!~~*(text,text) bool
~~(bytea,bytea) bool
!~~(bytea,bytea) bool
~(text,text) bool
!~(text,text) bool
~*(text,text) bool
!~*(text,text) bool
^@(text,text) bool
`

// PostgreSQL docs, tables 9.45 and 9.46.
const jsonOperators = `
->(jsonb,text) jsonb
->(jsonb,int4) jsonb
->>(jsonb,text) text
->>(jsonb,int4) text
#>(jsonb,text[]) jsonb
#>>(jsonb,text[]) text
->(json,text) json
->(json,int4) json
->>(json,text) text
->>(json,int4) text
#>(json,text[]) json
#>>(json,text[]) text
@>(jsonb,jsonb) bool
@?(jsonb,jsonpath) bool
@@(jsonb,jsonpath) bool
<@(jsonb,jsonb) bool
?(jsonb,text) bool
?|(jsonb,text[]) bool
?&(jsonb,text[]) bool
||(jsonb,jsonb) jsonb
-(jsonb,text) jsonb
-(jsonb,text[]) jsonb
-(jsonb,int4) jsonb
#-(jsonb,text[]) jsonb
`

// PostgreSQL docs, table 9.53.
const arrayOperators = `
||(anyarray,anyarray) anyarray ; null
||(anyarray,anyelement) anyarray ; null
||(anyelement,anyarray) anyarray ; null
@>(anyarray,anyarray) bool
<@(anyarray,anyarray) bool
&&(anyarray,anyarray) bool
`
