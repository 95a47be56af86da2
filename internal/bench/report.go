package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Result is one number over all rounds.
type Result struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Median float64   `json:"median"`
	Rounds []float64 `json:"rounds"`
	// Of the peer, if it took part. Ratio is the median of the rounds' ratios, Millrace's number over the peer's.
	PeerMedian float64   `json:"peer_median,omitempty"`
	PeerRounds []float64 `json:"peer_rounds,omitempty"`
	Ratio      float64   `json:"ratio,omitempty"`
}

// resultSet gathers measures in the order in which they are first seen.
type resultSet struct{ list []Result }

func (s *resultSet) add(t *target, m Measure) {
	i := slices.IndexFunc(s.list, func(r Result) bool { return r.Name == m.Name })
	if i < 0 {
		i = len(s.list)
		s.list = append(s.list, Result{Name: m.Name, Unit: m.Unit})
	}
	r := &s.list[i]
	if t.peer {
		r.PeerRounds = append(r.PeerRounds, m.Value)
		r.PeerMedian = median(r.PeerRounds)
	} else {
		r.Rounds = append(r.Rounds, m.Value)
		r.Median = median(r.Rounds)
	}
	var ratios []float64
	for k := range min(len(r.Rounds), len(r.PeerRounds)) {
		ratios = append(ratios, r.Rounds[k]/r.PeerRounds[k])
	}
	r.Ratio = median(ratios)
}

// median returns the middle of values, 0 if there are none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// percentile returns the value that a part p of sorted values does not exceed (nearest rank).
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)]
}

// number prints a value as a person wants to read it: three digits, or all before the point.
func number(v float64) string {
	switch {
	case v >= 1000:
		return group(strconv.FormatFloat(v, 'f', 0, 64))
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// group sets a comma after every third digit from the right.
func group(s string) string {
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// WriteTable prints results for people.
func WriteTable(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "benchmark\tunit\tmedian\tlowest\thighest\tpeer\tratio")
	for _, r := range results {
		peer, ratio := "-", "-"
		if len(r.PeerRounds) > 0 {
			peer, ratio = number(r.PeerMedian), number(r.Ratio)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.Unit, number(r.Median), number(slices.Min(r.Rounds)), number(slices.Max(r.Rounds)), peer, ratio)
	}
	return t.Flush()
}

// WriteJSON prints results for programs.
func WriteJSON(w io.Writer, results []Result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(results)
}
