package engine

import (
	"sync"

	"github.com/millracedb/millrace/replication/metadata"
)

// definitions remembers what objects of the catalog say of themselves, for those who look at all queries at every image: images share the objects that have not changed, and to decode hundreds of
// them for every statement that changes one takes longer than the statement. It holds what the newest image has, and what was asked for since.
type definitions struct {
	mu struct {
		sync.Mutex
		queries map[*metadata.Object]queryDefinition
		writers map[*metadata.Object]uint32
	}
}

func newDefinitions() *definitions {
	d := &definitions{}
	d.mu.queries, d.mu.writers = map[*metadata.Object]queryDefinition{}, map[*metadata.Object]uint32{}
	return d
}

// query is queryDef for those who change nothing that the definition refers to.
func (d *definitions) query(o *metadata.Object) (queryDefinition, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	def, ok := d.mu.queries[o]
	if ok {
		return def, nil
	}
	def, err := queryDef(o)
	if err == nil {
		d.mu.queries[o] = def
	}
	return def, err
}

// writer is writerOf.
func (d *definitions) writer(o *metadata.Object) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	w, ok := d.mu.writers[o]
	if !ok {
		w = writerOf(o)
		d.mu.writers[o] = w
	}
	return w
}

// forget drops what img does not have.
func (d *definitions) forget(img *metadata.Image) {
	d.mu.Lock()
	defer d.mu.Unlock()
	forgetObjects(d.mu.queries, img)
	forgetObjects(d.mu.writers, img)
}

func forgetObjects[T any](of map[*metadata.Object]T, img *metadata.Image) {
	for o := range of {
		if now, ok := img.Object(o.OID); !ok || now != o {
			delete(of, o)
		}
	}
}
