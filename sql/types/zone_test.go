package types_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

func TestZonesAreFoundInAnyCase(t *testing.T) {
	for given, want := range map[string]string{
		"America/New_York": "America/New_York", "america/port_of_spain": "America/Port_of_Spain", "AMERICA/PORT-AU-PRINCE": "America/Port-au-Prince",
		"antarctica/mcmurdo": "Antarctica/McMurdo", "africa/dar_es_salaam": "Africa/Dar_es_Salaam", "gb-eire": "GB-Eire", "est5edt": "EST5EDT",
		"etc/gmt+5": "Etc/GMT+5", "us/pacific": "US/Pacific", "america/indiana/knox": "America/Indiana/Knox", "antarctica/dumontdurville": "Antarctica/DumontDUrville",
	} {
		loc, err := types.LookupZone(given)
		require.NoError(t, err, given)
		require.Equal(t, want, loc.String())
	}
	for given, hours := range map[string]float64{"utc": 0, "Z": 0, "+02": 2, "-03:30": -3.5, "+0545": 5.75, "EST": -5, "cest": 2} {
		loc, err := types.LookupZone(given)
		require.NoError(t, err, given)
		_, off := time.Unix(0, 0).In(loc).Zone()
		require.Equal(t, int(hours*3600), off, given)
	}
	for _, bad := range []string{"", "local", "Nowhere", "../../etc/passwd", "+99", "America/", "/etc/localtime"} {
		_, err := types.LookupZone(bad)
		require.Equal(t, sqlerr.InvalidParameterValue, sqlerr.CodeOf(err), bad)
	}
}
