package expr

import (
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// ksqlDB's functions of URLs and of places on the earth (ksqlDB reference, "Scalar functions").

func init() {
	row("url_encode_param(text)", text(func(a []types.Datum) string { return url.QueryEscape(a[0].S) }))
	row("url_decode_param(text)", textOrError(func(a []types.Datum) (string, error) {
		s, err := url.QueryUnescape(a[0].S)
		if err != nil {
			return "", sqlerr.New(sqlerr.InvalidParameterValue, "the text is not URL-encoded: %w", err)
		}
		return s, nil
	}))
	urlPart("url_extract_fragment", func(u *url.URL) (string, bool) { return u.Fragment, u.Fragment != "" })
	urlPart("url_extract_host", func(u *url.URL) (string, bool) { return u.Hostname(), u.Host != "" })
	urlPart("url_extract_path", func(u *url.URL) (string, bool) { return u.Path, true })
	urlPart("url_extract_protocol", func(u *url.URL) (string, bool) { return u.Scheme, u.Scheme != "" })
	urlPart("url_extract_query", func(u *url.URL) (string, bool) { return u.RawQuery, u.RawQuery != "" })
	row("url_extract_port(text)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		u, err := parseURL(a[0].S)
		if err != nil || u.Port() == "" {
			return types.NullDatum, err
		}
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil {
			return types.NullDatum, sqlerr.New(sqlerr.InvalidParameterValue, "port %q of the URL is out of range", u.Port())
		}
		return types.IntDatum(int64(port)), nil
	})
	row("url_extract_parameter(text,text)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		u, err := parseURL(a[0].S)
		if err != nil {
			return types.NullDatum, err
		}
		if values := u.Query()[a[1].S]; len(values) > 0 {
			return types.BytesDatum(values[0]), nil
		}
		return types.NullDatum, nil
	})
	for _, id := range []string{"geo_distance(float8,float8,float8,float8)", "geo_distance(float8,float8,float8,float8,text)"} {
		row(id, geoDistance)
	}
}

func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, sqlerr.New(sqlerr.InvalidParameterValue, "the text is no URL: %w", err)
	}
	return u, nil
}

// urlPart registers a function that gives one part of a URL, NULL where there is none.
func urlPart(name string, part func(*url.URL) (string, bool)) {
	row(name+"(text)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		u, err := parseURL(a[0].S)
		if err != nil {
			return types.NullDatum, err
		}
		if s, ok := part(u); ok {
			return types.BytesDatum(s), nil
		}
		return types.NullDatum, nil
	})
}

// Mean radius of the earth.
const earthKM, earthMiles = 6371.0, 3959.0

// geoDistance is geo_distance(lat1, lon1, lat2, lon2 [, 'KM' or 'MILES']) by the haversine formula.
func geoDistance(_ *Call, a []types.Datum) (types.Datum, error) {
	radius := earthKM
	if len(a) > 4 {
		switch strings.ToUpper(a[4].S) {
		case "KM", "KILOMETER", "KILOMETERS":
		case "MI", "MILE", "MILES":
			radius = earthMiles
		default:
			return types.NullDatum, sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized unit of length: %q", a[4].S).WithHint("Use KM or MILES.")
		}
	}
	for i, d := range a[:4] {
		limit := 180.0
		what := "longitude"
		if i%2 == 0 {
			limit, what = 90, "latitude"
		}
		if !(math.Abs(d.F) <= limit) {
			return types.NullDatum, sqlerr.New(sqlerr.InvalidParameterValue, "%s %v is out of range", what, d.F)
		}
	}
	rad := func(deg float64) float64 { return deg * math.Pi / 180 }
	sinLat, sinLon := math.Sin(rad(a[2].F-a[0].F)/2), math.Sin(rad(a[3].F-a[1].F)/2)
	h := sinLat*sinLat + math.Cos(rad(a[0].F))*math.Cos(rad(a[2].F))*sinLon*sinLon
	return types.FloatDatum(2 * radius * math.Asin(math.Min(1, math.Sqrt(h)))), nil
}
