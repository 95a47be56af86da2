package nodes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// statement is the rows of one statement, by id: they are there all or not at all.
type statement []int64

// rowLog is what clients were told of the rows of one relation.
type rowLog struct {
	next    int64
	acked   map[int64]bool // they must be there
	unknown []statement    // nobody was told
}

func newRowLog() *rowLog { return &rowLog{acked: map[int64]bool{}} }

// take gives out ids that nobody has had.
func (l *rowLog) take(n int) statement {
	ids := make(statement, n)
	for i := range ids {
		ids[i] = l.next
		l.next++
	}
	return ids
}

// told notes the outcome of a statement.
func (l *rowLog) told(ids statement, err error) {
	switch {
	case err == nil:
		for _, id := range ids {
			l.acked[id] = true
		}
	case !refused(err): // what was refused must not be there, as what nobody wrote
		l.unknown = append(l.unknown, ids)
	}
}

// compare says what is wrong with what is there, and how often, and returns which rows count: those acknowledged, and those of unknown outcome that are there.
func (l *rowLog) compare(have map[int64]int) (counts map[int64]bool, wrong []string) {
	counts = map[int64]bool{}
	for id := range l.acked {
		counts[id] = true
	}
	for _, ids := range l.unknown {
		there := 0
		for _, id := range ids {
			if have[id] > 0 {
				there++
				counts[id] = true
			}
		}
		if there > 0 && there < len(ids) {
			wrong = append(wrong, fmt.Sprintf("%d of the %d rows of one statement are there: %v", there, len(ids), ids))
		}
	}
	return counts, append(wrong, differ(counts, have)...)
}

// differ says which of the wanted rows are missing, which are there more than once, and which nobody wants.
func differ(want map[int64]bool, have map[int64]int) (wrong []string) {
	var missing, doubled, extra []int64
	for id := range want {
		if have[id] == 0 {
			missing = append(missing, id)
		}
	}
	for id, n := range have {
		if n > 1 {
			doubled = append(doubled, id)
		}
		if !want[id] {
			extra = append(extra, id)
		}
	}
	for _, x := range []struct {
		what string
		ids  []int64
	}{{"rows that were acknowledged are missing", missing}, {"rows are there more than once", doubled}, {"rows are there that were refused or not written", extra}} {
		if slices.Sort(x.ids); len(x.ids) > 0 {
			wrong = append(wrong, fmt.Sprintf("%s: %v", x.what, x.ids))
		}
	}
	return wrong
}

// inOrder are the places of records, by partition and offset.
func inOrder(records map[place]string) []place {
	return slices.SortedFunc(maps.Keys(records), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
	})
}
