package types

// MapEntry is one entry of a MAP.
type MapEntry struct {
	Key   string
	Value Datum
}

// MapEntries returns the entries of an encoded map with values of type elem, in the order of jsonb: shorter keys first, then by bytes.
func MapEntries(elem Type, s string) ([]MapEntry, error) {
	j := &jsonScanner{s: s}
	var out []MapEntry
	err := j.object(func(name string) error {
		d, err := j.datum(elem)
		out = append(out, MapEntry{name, d})
		return err
	})
	return out, err
}

// MapDatum boxes a map. Of equal keys the last one wins.
func MapDatum(elem Type, entries []MapEntry) (Datum, error) {
	out := []byte{'{'}
	for i, e := range entries {
		if i > 0 {
			out = append(out, ',')
		}
		out = AppendJSON(append(AppendJSONString(out, e.Key), ':'), elem, e.Value)
	}
	text, err := CanonicalJSON(string(append(out, '}')))
	return BytesDatum(text), err
}
