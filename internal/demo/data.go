package demo

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"fmt"
	"io"
)

//go:embed data/flights-20k.jsonl.gz
var flightsGzip []byte

//go:embed data/airports.csv.gz
var airportsGzip []byte

// Flights returns the flights, one JSON object a line.
func Flights() ([]byte, error) { return gunzip(flightsGzip) }

// Airports returns the airports as CSV with a header line.
func Airports() ([]byte, error) { return gunzip(airportsGzip) }

func gunzip(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("demo data: %w", err)
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}
