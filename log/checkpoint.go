package log

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/fsys"
)

// Text checkpoints are Kafka's: a line with version 0, a line with the number of entries, then a line for each.

// checkpointSizeMax bounds a checkpoint file, in bytes: a hundred for each of a million partitions.
const checkpointSizeMax = 100 << 20

func writeCheckpoint(fs fsys.FS, path string, lines []string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "0\n%d\n", len(lines))
	for _, line := range lines {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return fsys.WriteFileAtomic(fs, path, []byte(b.String()))
}

// readCheckpoint calls entry for each line. A missing file has no entries; a malformed one is an error.
func readCheckpoint(fs fsys.FS, path string, entry func(line string) error) error {
	data, err := fsys.ReadFile(fs, path, checkpointSizeMax)
	if fsys.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) < 2 || lines[0] != "0" {
		return fmt.Errorf("%s is not a checkpoint of version 0", path)
	}
	if n, err := strconv.Atoi(lines[1]); err != nil || n != len(lines)-2 {
		return fmt.Errorf("%s says it has %q entries, and has %d", path, lines[1], len(lines)-2)
	}
	for i, line := range lines[2:] {
		if err := entry(line); err != nil {
			return fmt.Errorf("%s, line %d: %w", path, i+3, err)
		}
	}
	return nil
}

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String returns the name of the partition's directory.
func (p TopicPartition) String() string { return p.Topic + "-" + strconv.Itoa(int(p.Partition)) }

// ParseTopicPartition is the inverse of TopicPartition.String.
func ParseTopicPartition(name string) (TopicPartition, bool) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 {
		return TopicPartition{}, false
	}
	n, err := strconv.ParseUint(name[i+1:], 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != name[i+1:] {
		return TopicPartition{}, false
	}
	return TopicPartition{name[:i], int32(n)}, true
}

// readOffsets reads a checkpoint of offsets by partition.
func readOffsets(fs fsys.FS, path string) (map[TopicPartition]int64, error) {
	offsets := make(map[TopicPartition]int64)
	err := readCheckpoint(fs, path, func(line string) error {
		f := strings.Fields(line)
		if len(f) != 3 {
			return fmt.Errorf("%q is not topic, partition and offset", line)
		}
		tp, ok := ParseTopicPartition(f[0] + "-" + f[1])
		offset, err := strconv.ParseInt(f[2], 10, 64)
		if !ok || err != nil {
			return fmt.Errorf("%q is not topic, partition and offset", line)
		}
		offsets[tp] = offset
		return nil
	})
	return offsets, err
}

func writeOffsets(fs fsys.FS, path string, offsets map[TopicPartition]int64) error {
	lines := make([]string, 0, len(offsets))
	for tp, offset := range offsets {
		lines = append(lines, fmt.Sprintf("%s %d %d", tp.Topic, tp.Partition, offset))
	}
	return writeCheckpoint(fs, path, lines)
}

// CheckpointedHighWatermark returns the high watermark that was last written down for the partition, 0 if none: a hint, as it
// trails by seconds.
func (m *Manager) CheckpointedHighWatermark(tp TopicPartition) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.saved[highWatermarkFile][tp]
}

// Checkpoint writes down recovery points, high watermarks, log starts and clean points, as far as they have changed.
func (m *Manager) Checkpoint() error {
	return errors.Join(
		m.saveBounds(),
		m.save(highWatermarkFile, (*Log).HighWatermark),
		m.save(cleanPointFile, (*Log).CleanPoint),
	)
}

// saveBounds writes down what decides about damage at the next start. A recovery point is read before its log start and written after it: a log that begins anew meanwhile, at a higher offset, would
// seem to have lost its beginning.
func (m *Manager) saveBounds() error {
	m.saveMu.Lock()
	defer m.saveMu.Unlock()
	points, pointsChanged := m.offsets(recoveryPointFile, (*Log).RecoveryPoint)
	starts, startsChanged := m.offsets(logStartFile, (*Log).LogStart)
	var errs []error
	if startsChanged {
		errs = append(errs, m.write(logStartFile, starts))
	}
	if pointsChanged && errors.Join(errs...) == nil {
		errs = append(errs, m.write(recoveryPointFile, points))
	}
	return errors.Join(errs...)
}

// save writes one checkpoint file.
func (m *Manager) save(file string, of func(*Log) int64) error {
	m.saveMu.Lock()
	defer m.saveMu.Unlock()
	offsets, changed := m.offsets(file, of)
	if !changed {
		return nil
	}
	return m.write(file, offsets)
}

// offsets is what a checkpoint file should say, and whether it says something else. Partitions that are not open keep what it said. The caller holds saveMu.
func (m *Manager) offsets(file string, of func(*Log) int64) (offsets map[TopicPartition]int64, changed bool) {
	m.mu.Lock()
	offsets = maps.Clone(m.mu.saved[file])
	logs := maps.Clone(m.mu.logs)
	m.mu.Unlock()
	for tp, l := range logs {
		if d := l.Damage(); d != nil && !d.Within {
			continue // what was written down is what shows the damage
		}
		if offset := of(l); offset != offsets[tp] {
			offsets[tp], changed = offset, true
		}
	}
	return offsets, changed
}

// write writes a checkpoint file and remembers what is in it. The caller holds saveMu.
func (m *Manager) write(file string, offsets map[TopicPartition]int64) error {
	if err := writeOffsets(m.fs, m.path(file), offsets); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.saved[file] = offsets
	return nil
}

// forget takes the partition out of all checkpoints, so that a later one of that name does not inherit them.
func (m *Manager) forget(tp TopicPartition) error {
	m.saveMu.Lock()
	defer m.saveMu.Unlock()
	for _, file := range []string{recoveryPointFile, highWatermarkFile, logStartFile, cleanPointFile} {
		m.mu.Lock()
		_, known := m.mu.saved[file][tp]
		offsets := maps.Clone(m.mu.saved[file])
		m.mu.Unlock()
		if !known {
			continue
		}
		delete(offsets, tp)
		if err := m.write(file, offsets); err != nil {
			return err
		}
	}
	return nil
}
