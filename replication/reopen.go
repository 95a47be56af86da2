package replication

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication/metadata"
)

// reopenEvery is how often partitions that could not be opened are tried again: what stands in the way, such as a right or a limit of the system, can be mended while the node runs.
const reopenEvery = 2 * time.Second

// noteUnopened notes that a partition cannot be opened, or, without an error, that it is. Each reason is logged once.
func (m *Manager) noteUnopened(p *Partition, err error) {
	tp := log.TopicPartition{Topic: p.topic, Partition: p.id}
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.mu.unopened[tp]
	switch {
	case err == nil:
		delete(m.mu.unopened, tp)
	case before == nil || before.Error() != err.Error():
		m.mu.unopened[tp] = err
		p.logger.Error("partition cannot be opened; it is tried again", "every", reopenEvery, "err", err)
	}
}

// whyUnopenedLocked is why a partition that belongs here is not open.
func (m *Manager) whyUnopenedLocked(topic string, id int32) error {
	err := m.mu.unopened[log.TopicPartition{Topic: topic, Partition: id}]
	switch {
	case err == nil:
		return kerr.KafkaStorageError
	case errors.Is(err, kerr.KafkaStorageError):
		return err
	}
	return fmt.Errorf("%w: %w", kerr.KafkaStorageError, err)
}

// reopen tries again to open what could not be opened. Only the goroutine that acts on the metadata calls it.
func (m *Manager) reopen() {
	m.mu.Lock()
	var work []func()
	for tp := range m.mu.unopened {
		t := m.mu.topics[tp.Topic]
		if t == nil {
			delete(m.mu.unopened, tp)
			continue
		}
		r, ok := t.topic.Partition(tp.Partition)
		if !ok || t.partitions[tp.Partition] != nil || !metadata.Has(r.Replicas, m.opts.NodeID) || m.mu.offline != nil {
			delete(m.mu.unopened, tp)
			continue
		}
		config := m.logConfig(t.topic)
		work = append(work, func() { m.open(t, t.topic, r, config) })
	}
	m.mu.Unlock()
	parallel(work)
}
