package log

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/record"
)

// Damage that a reader meets while the log is in use: bytes of a segment that are not those that were written, or that the disk does not give. What is read wrongly once is read again, since memory or a
// bus may be at fault; then the log is damaged until it is begun anew (RestartAt) or repaired. It goes on taking writes, and reads of everything else.

// isDamage reports whether an error of a read says that the bytes on disk are bad, and not, for one, that there are too many open files.
func isDamage(err error) bool { return isBadBytes(err) || errors.Is(err, syscall.EIO) }

// meet notes damage in a segment, unless its file is not the log's any more: it may have been cut or replaced under the reader. It returns d.
func (l *Log) meet(file *handle, d *Damage) error {
	d.Within = true
	l.mu.Lock()
	i := slices.IndexFunc(l.mu.segments, func(s *segment) bool { return s.file == file })
	first := i >= 0 && l.mu.damage == nil
	if first {
		d.File = l.mu.segments[i].path
		l.mu.damage = d
	}
	l.mu.Unlock()
	if first {
		l.logDamage(d)
		if l.opts.OnDamage != nil {
			l.opts.OnDamage()
		}
	}
	return d
}

func (l *Log) logDamage(d *Damage) {
	l.logger.Error("log is damaged", "file", d.File, "at", d.Pos, "offset", d.Offset, "cause", d.Cause)
}

// checkBatches goes through whole batches that were read from a segment. It returns the length of those before the first bad one, the offset where they end, and what is wrong then. Offsets are not
// under the checksum of a batch, but they ascend, up to the segment's end.
func checkBatches(frames []byte, from, end int64) (good int, next int64, err error) {
	next = from
	for rest := frames; len(rest) > 0; {
		h, frame, after, err := record.Next(rest)
		if err == nil {
			err = record.Check(&h, frame)
		}
		if err == nil && (h.BaseOffset < next || h.LastOffset() >= end) {
			err = outOfPlace(&h, next, end)
		}
		if err != nil {
			return len(frames) - len(rest), next, err
		}
		rest, next = after, h.LastOffset()+1
	}
	return len(frames), next, nil
}

func outOfPlace(h *record.Header, from, end int64) error {
	return fmt.Errorf("a batch of offsets %d to %d where they should be from %d on and below %d: %w", h.BaseOffset, h.LastOffset(), from, end, kerr.CorruptMessage)
}

// each calls do with the batches of a segment, whose checksums are right. The frame is valid during the call.
func (l *Log) each(ctx context.Context, v *view, do func(h *record.Header, frame []byte) (more bool, err error)) error {
	sc, next := scanner{file: v.file, size: v.size, window: scanWindow}, v.base
	for again := false; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		more, err := sc.header()
		if err == nil && !more {
			return nil
		}
		var frame []byte
		if err == nil {
			frame, err = sc.frame()
		}
		if err == nil {
			_, _, err = checkBatches(frame, next, v.next)
		}
		if isDamage(err) {
			if again {
				return l.meet(v.file, &Damage{Pos: sc.pos, Offset: next, Cause: err})
			}
			sc.buf, again = sc.buf[:0], true
			continue
		}
		if err != nil {
			return err
		}
		again = false
		if more, err := do(&sc.h, frame); err != nil || !more {
			return err
		}
		next = sc.h.LastOffset() + 1
		sc.skip()
	}
}
