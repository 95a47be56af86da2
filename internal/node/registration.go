package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/peer"
	"github.com/millracedb/millrace/replication/metadata"
)

// A node that is started on a copy of its directory from an earlier time (a backup, a snapshot of a machine) has lost what it has acknowledged since, and voted for. Nobody would notice: others take it for what it was, count
// it among those that hold their records, and when they die it is the one that is left. So directory and cluster both say which registration was the last, and if the cluster knows of a later one the directory is from before.
//
// A copy that was made while the node ran, of the same registration, is not told apart by that.

const (
	registrationFile = "registration"
	maxRegistration  = 1 << 10
	// ageTimeout bounds what is asked of other nodes about the age of the directory: none of them may be there.
	ageTimeout = time.Second
	// forRegistration as an Envelope's principal asks which registration a node has. Nodes of releases that do not know it find no metadata entry in the envelope, and refuse it.
	forRegistration = "registration"
)

// registration is what the directory knows of the node's registrations.
type registration struct {
	epoch    uint64 // of the last one that it has heard of
	underWay bool   // there may be one after that
}

const registrationText = "version=1\nepoch=%d\nunder.way=%t\n"

// lastRegistration reads the directory's; false if it has none, as one that was made by an older release, or of a node that was alone.
func (n *Node) lastRegistration() (r registration, known bool, err error) {
	data, err := fsys.ReadFile(n.cfg.FS, n.path(registrationFile), maxRegistration)
	if fsys.IsNotExist(err) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	if _, err := fmt.Sscanf(string(data), registrationText, &r.epoch, &r.underWay); err != nil {
		return r, false, fmt.Errorf("%s cannot be read: restore it from the newest copy, or delete it if the directory is surely the one that ran last: %w", n.path(registrationFile), err)
	}
	return r, true, nil
}

func (n *Node) keepRegistration(r registration) error {
	return fsys.WriteFileAtomic(n.cfg.FS, n.path(registrationFile), fmt.Appendf(nil, registrationText, r.epoch, r.underWay))
}

// checkAge refuses a directory that nodes at addrs know to be a copy: an old one, or one of which another process runs.
func (n *Node) checkAge(ctx context.Context, addrs []string) error {
	ctx, cancel := context.WithTimeout(ctx, ageTimeout)
	defer cancel()
	for _, a := range addrs {
		epoch, addr, err := n.askRegistration(ctx, a)
		if err != nil {
			continue
		}
		if err := n.refuseOlder(epoch); err != nil {
			return err
		}
		if h, err := n.port.Probe(ctx, addr); err == nil && n.port.IsCopy(h) {
			return fmt.Errorf("data directory %s is a copy of one that node %d runs on at %s: stop that one first, or start this node on a directory of its own, empty and with another id", n.cfg.Dir, h.NodeID, addr)
		}
	}
	return nil
}

// refuseOlder refuses a directory whose last registration came before the one with this epoch.
func (n *Node) refuseOlder(epoch uint64) error {
	last, known, err := n.lastRegistration()
	if err != nil || !known || last.underWay || epoch <= last.epoch {
		return err
	}
	return fmt.Errorf("data directory %s is older than what its cluster knows of node %d (registration %d, the directory's last is %d): it was copied or restored, and lacks what the node has acknowledged since; "+
		"start the node on the directory that ran last, or remove it from the cluster (ALTER NODE %d REMOVE) and start it on an empty one", n.cfg.Dir, n.identity.NodeID, epoch, last.epoch, n.identity.NodeID)
}

// registerOnce registers the node, and has it written down in the directory that it does before, and in the directory and the cluster after.
func (n *Node) registerOnce(ctx context.Context, k metadata.Broker) (epoch uint64, err error) {
	known := n.meta.Image().LastStart(n.identity.NodeID, n.identity.Directory.String())
	if err := n.refuseOlder(known); err != nil {
		return 0, err
	}
	if !n.cfg.clustered() && !(peers{n.meta, n}).Others() {
		return n.meta.Register(ctx, k)
	}
	if err := n.keepRegistration(registration{known, true}); err != nil {
		return 0, err
	}
	if epoch, err = n.meta.Register(ctx, k); err != nil {
		return 0, err
	}
	b := n.meta.NewBatch()
	b.NoteStart(n.identity.NodeID, n.identity.Directory, epoch)
	if _, err := n.meta.Apply(ctx, b); err != nil {
		return 0, err
	}
	return epoch, n.keepRegistration(registration{epoch, false})
}

// askRegistration asks the node at addr which registration of this node it knows, and where this node was then.
func (n *Node) askRegistration(ctx context.Context, addr string) (epoch uint64, at string, err error) {
	req := kmsg.NewPtrEnvelopeRequest()
	req.RequestData, req.RequestPrincipal = []byte("?"), []byte(forRegistration)
	resp, err := n.caller.Call(ctx, addr, req)
	if err != nil {
		return 0, "", err
	}
	r := resp.(*kmsg.EnvelopeResponse)
	if r.ErrorCode != 0 {
		return 0, "", errors.New("it does not know")
	}
	_, err = fmt.Sscanf(string(r.ResponseData), "%d %s", &epoch, &at)
	return epoch, at, err
}

// serveRegistration answers askRegistration.
func serveRegistration(meta *metadata.Store, from peer.Hello, r *kmsg.EnvelopeRequest) (kmsg.Response, error) {
	k, ok := meta.Image().Broker(from.NodeID)
	if !ok {
		return nil, errStarting
	}
	resp := r.ResponseKind().(*kmsg.EnvelopeResponse)
	resp.ResponseData = fmt.Appendf(nil, "%d %s", meta.Image().LastStart(from.NodeID, from.DirectoryID), k.PeerAddr())
	return resp, nil
}
