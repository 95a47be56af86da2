package sim

import (
	"slices"

	"github.com/millracedb/millrace/replication/core"
)

// The epoch cache of a modelled log, as package log keeps it (KIP-101, KIP-279).

func (r *replica) assign(epoch int32, start int64) {
	if n := len(r.starts); n > 0 && r.starts[n-1].Epoch >= epoch {
		return
	}
	r.starts = append(r.starts, core.EpochEnd{Epoch: epoch, End: start})
}

func (r *replica) endOf(epoch int32) core.EpochEnd {
	if n := len(r.starts); n == 0 || epoch < 0 || epoch > r.starts[n-1].Epoch {
		return core.EpochEnd{Epoch: -1, End: -1}
	} else if r.starts[n-1].Epoch == epoch {
		return core.EpochEnd{Epoch: epoch, End: int64(len(r.log))}
	}
	i := slices.IndexFunc(r.starts, func(e core.EpochEnd) bool { return e.Epoch > epoch })
	if i == 0 {
		return core.EpochEnd{Epoch: epoch, End: r.starts[0].End}
	}
	return core.EpochEnd{Epoch: r.starts[i-1].Epoch, End: r.starts[i].End}
}

func (r *replica) truncate(to int64) {
	r.log = r.log[:min(int(to), len(r.log))]
	r.durable = min(r.durable, len(r.log))
	r.starts = slices.DeleteFunc(r.starts, func(e core.EpochEnd) bool { return e.End >= int64(len(r.log)) })
}

// lastEpoch is the newest epoch that the cache knows, -1 if there is none.
func (r *replica) lastEpoch() int32 {
	if len(r.starts) == 0 {
		return -1
	}
	return r.starts[len(r.starts)-1].Epoch
}
