package exec_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTableJoinsWalkKeysWithManyRows joins on a key that has more rows than are held in memory for a walk, on either side, with and without a
// further condition, over a restart and in little memory, and compares with the same query over the rows.
func TestTableJoinsWalkKeysWithManyRows(t *testing.T) {
	h := newHarness(t, 1)
	h.memory = 256 << 10
	h.run(`CREATE TABLE o (id INT PRIMARY KEY, k TEXT, x INT) WITH (topic = 'o')`)
	h.run(`CREATE TABLE c (k TEXT PRIMARY KEY, name TEXT, x INT) WITH (topic = 'c')`)
	views := map[string]string{
		"fk":      `SELECT o.id, o.x, c.name FROM o LEFT JOIN c ON o.k = c.k`,
		"outer_k": `SELECT o.id, o.x, c.k AS ck, c.name FROM c FULL JOIN o ON o.k = c.k`,
		"cond":    `SELECT o.id, o.x, c.k AS ck, c.name FROM o FULL JOIN c ON o.k = c.k AND o.x < c.x`,
		"inner_k": `SELECT o.id, c.name FROM c JOIN o ON o.k = c.k AND o.x > c.x`,
	}
	for name, query := range views {
		h.run(`CREATE MATERIALIZED VIEW ` + name + ` AS ` + query)
	}
	rel := h.rels["o"]
	const many = 4500
	for i := range many {
		row := fmt.Sprintf(`{"id":%d,"k":"a","x":%d}`, i, i%10)
		key, value := h.encode(rel, row)
		h.append(rel, key, value, int64(1000+i))
	}
	same := func() {
		t.Helper()
		h.settle("o") // the query over the rows reads what the tables' own tasks have taken
		h.settle("c")
		for name, query := range views {
			h.settle(name)
			require.Equal(t, h.bounded(query), visibleRows(h, name), query)
		}
	}
	same()
	h.put("c", `{"k":"a","name":"first","x":5}`, `{"k":"b","name":"nobody","x":1}`)
	same()
	h.restart(false)
	h.put("c", `{"k":"a","name":"second","x":3}`)
	h.put("o", `{"id":7,"k":"b","x":0}`, `-{"id":8}`, `{"id":9,"k":"a","x":100}`, fmt.Sprintf(`{"id":%d,"k":"a","x":2}`, many))
	same()
	h.put("c", `-{"k":"a"}`)
	same()
}
