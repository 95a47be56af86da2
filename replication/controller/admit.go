package controller

import "github.com/millracedb/millrace/replication/metadata"

// admission knows from which index on each fenced broker may be let in again: by then nothing was left of what it had held. A broker that comes back after it was cut off still believes what it
// knew before. It must have heard that others lead in its place before it may act as leader of anything, or it would tell an old end of a log. The zero value is that of a controller that has just been
// elected: to it every broker counts as released only now.
type admission map[int32]released

// released is what is known of one registration.
type released struct {
	epoch, index uint64
}

// admits reports whether a fenced broker may be let in that has applied the metadata up to index. It is to be asked at every step, for it notes when a broker was released.
func (a admission) admits(img *metadata.Image, k *metadata.Broker, index uint64) bool {
	if !Released(img, k.ID) {
		delete(a, k.ID)
		return false
	}
	r, ok := a[k.ID]
	if !ok || r.epoch != k.Epoch {
		r = released{k.Epoch, img.Index()}
		a[k.ID] = r
	}
	return index >= r.index
}
