package engine

import (
	"context"
	"strconv"
	"time"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
)

const (
	// removeWait bounds the wait for a node to be forgotten.
	removeWait = 30 * time.Second
	// silenceWait bounds the wait for the controller to notice that a node has stopped: longer than a session of the controller.
	silenceWait = 5 * time.Second
)

// alterNode runs ALTER NODE. DRAIN, UNDRAIN and FILL are wishes that the controller sees to, REMOVE waits until it has.
func (s *session) alterNode(ctx context.Context, q *sql.AlterNode) (string, error) {
	const tag = "ALTER NODE"
	if err := s.checkDDL(tag); err != nil {
		return "", err
	}
	if !s.isSuperuser() {
		return "", sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to alter node %s", q.Node).WithHint("Only superusers do.").At(q.Offset())
	}
	if s.tx.stages() {
		return "", sqlerr.New(sqlerr.ActiveSQLTransaction, "ALTER NODE cannot run inside a transaction block").At(q.Offset())
	}
	switch q.Action {
	case "REMOVE":
		if err := s.awaitSilence(ctx, q); err != nil {
			return "", err
		}
	case "DRAIN": // the sessions may be on that node: who writes there could not be told what has become of it
		if k, err := findNode(s.e.meta.Image(), q); err == nil && k.ID == s.e.opts.NodeID && s.e.opts.AwaitWrites != nil {
			s.e.opts.AwaitWrites(ctx, s.info.PID)
		}
	}
	d := s.beginDDL()
	k, err := findNode(d.img, q)
	if err != nil {
		return "", err
	}
	switch q.Action {
	case "DRAIN":
		err = drain(d, k)
	case "UNDRAIN":
		if d.img.Drained(k.ID) {
			d.batch.Undrain(k.ID)
			d.batch.Fill(k.ID)
		}
	case "FILL":
		err = fill(d, k)
	case "REMOVE":
		err = remove(d, k)
	}
	if err == nil {
		err = d.end(ctx)
	}
	if err == nil && q.Action == "REMOVE" {
		err = s.awaitRemoved(ctx, k)
	}
	return tag, err
}

func findNode(img *metadata.Image, q *sql.AlterNode) (*metadata.Broker, error) {
	if id, err := strconv.ParseInt(q.Node, 10, 32); err == nil {
		if k, ok := img.Broker(int32(id)); ok {
			return k, nil
		}
	}
	return nil, sqlerr.New(sqlerr.UndefinedObject, "node %q does not exist", q.Node).WithHint("SHOW NODES lists the nodes of the cluster.").At(q.Offset())
}

func drain(d *ddl, k *metadata.Broker) error {
	for other := range d.img.Brokers() {
		if other.ID != k.ID && !other.Fenced && !other.Draining && !d.img.Drained(other.ID) {
			d.batch.Drain(k.ID)
			return nil
		}
	}
	return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "node %d cannot be drained: no other node is there to take over", k.ID).
		WithHint("Start another node with --join, or ALTER NODE ... UNDRAIN one that is drained.")
}

func fill(d *ddl, k *metadata.Broker) error {
	if d.img.Drained(k.ID) {
		return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "node %d cannot be filled: it is drained", k.ID).WithHint("ALTER NODE %d UNDRAIN ends that, and fills it.", k.ID)
	}
	d.batch.Fill(k.ID)
	return nil
}

func remove(d *ddl, k *metadata.Broker) error {
	if !k.Fenced {
		return sqlerr.New(sqlerr.ObjectInUse, "node %d cannot be removed: it is running", k.ID).WithHint("ALTER NODE %d DRAIN, wait until SHOW NODES says drained, and stop it.", k.ID)
	}
	if topic, partition, found := d.img.OnlyOn(k.ID); found {
		return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "node %d cannot be removed: it alone has everything that is committed in partition %d of topic %q", k.ID, partition, topic).
			WithHint("Start it again, so that other nodes can catch up, or drop what the topic belongs to.")
	}
	d.batch.Remove(k.ID)
	return nil
}

// awaitSilence waits until the node that a statement names is out of touch, or silenceWait: one that has just been stopped is so a moment later.
func (s *session) awaitSilence(ctx context.Context, q *sql.AlterNode) error {
	limited, cancel := context.WithTimeout(ctx, silenceWait)
	defer cancel()
	for {
		img, changed := s.e.meta.Watch()
		k, err := findNode(img, q)
		if err != nil || k.Fenced || !k.Draining && !img.Drained(k.ID) {
			return err
		}
		select {
		case <-changed:
		case <-limited.Done():
			return ctx.Err()
		}
	}
}

// awaitRemoved waits until the node is forgotten.
func (s *session) awaitRemoved(ctx context.Context, k *metadata.Broker) error {
	ctx, cancel := context.WithTimeout(ctx, removeWait)
	defer cancel()
	for {
		img, changed := s.e.meta.Watch()
		now, ok := img.Broker(k.ID)
		switch {
		case !ok || now.Directory != k.Directory:
			return nil
		case !now.Fenced:
			return sqlerr.New(sqlerr.ObjectInUse, "node %d has come back and is kept", k.ID)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "node %d is not forgotten yet", k.ID).WithHint("The cluster goes on with it; SHOW NODES tells when it is done.")
		}
	}
}
