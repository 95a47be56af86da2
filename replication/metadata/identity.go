package metadata

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/fsys"
)

const (
	// FormatVersion is the version of the layout of a data directory. It rises when an older release could not read what a newer one writes there.
	FormatVersion = 1

	propertiesName  = "meta.properties"
	maxPropertySize = 16 << 10
)

// Why a directory is refused; test with errors.Is.
var (
	ErrNewerFormat    = errors.New("metadata: the data directory was written by a newer release")
	ErrForeignData    = errors.New("metadata: the data directory belongs to somebody else")
	ErrBrokenIdentity = errors.New("metadata: meta.properties cannot be read: restore it from a backup of the directory")
)

// Identity says whose data a directory holds. It is made once, when the directory is formatted, and checked at every start.
type Identity struct {
	ClusterID string // a UUID in base64, or whatever the cluster was given
	NodeID    int32
	Directory UUID // made when the directory is formatted, so a wiped disk is a new directory
}

// FormatOrCheck reads dir's meta.properties and checks it against want, in which a zero NodeID or empty ClusterID stands for "whatever is there". If the
// file is not there it formats the directory (which exists): with a new directory id, want's node id (1 if zero), and want's cluster id or a
// new one. fresh says that it did.
//
// The file is Kafka's meta.properties of version 1 with the key millrace.format added.
func FormatOrCheck(fs fsys.FS, dir string, want Identity, rand io.Reader) (id Identity, fresh bool, err error) {
	path := fs.PathJoin(dir, propertiesName)
	data, err := fsys.ReadFile(fs, path, maxPropertySize)
	if fsys.IsNotExist(err) {
		id, err = newIdentity(want, rand)
		if err != nil {
			return Identity{}, false, err
		}
		return id, true, fsys.WriteFileAtomic(fs, path, id.properties())
	}
	if err != nil {
		return Identity{}, false, fmt.Errorf("%w: %w", ErrBrokenIdentity, err)
	}
	if id, err = parseIdentity(string(data)); err != nil {
		return Identity{}, false, fmt.Errorf("%s: %w", path, err)
	}
	if want.ClusterID != "" && want.ClusterID != id.ClusterID {
		return Identity{}, false, fmt.Errorf("%w: %s is of cluster %q, not %q; start it with the nodes of its own cluster, or this node on another directory", ErrForeignData, dir, id.ClusterID, want.ClusterID)
	}
	if want.NodeID != 0 && want.NodeID != id.NodeID {
		return Identity{}, false, fmt.Errorf("%w: %s is of node %d, not %d; start it under its own id, or node %d on another directory",
			ErrForeignData, dir, id.NodeID, want.NodeID, want.NodeID)
	}
	return id, false, nil
}

// Formatted reports whether dir has a meta.properties.
func Formatted(fs fsys.FS, dir string) (bool, error) {
	_, err := fs.Stat(fs.PathJoin(dir, propertiesName))
	if fsys.IsNotExist(err) {
		return false, nil
	}
	return err == nil, err
}

func newIdentity(want Identity, rand io.Reader) (Identity, error) {
	if want.NodeID == 0 {
		want.NodeID = 1
	}
	if want.ClusterID == "" {
		u, err := NewUUID(rand)
		if err != nil {
			return Identity{}, err
		}
		want.ClusterID = u.String()
	}
	if err := checkProperty(want.ClusterID); err != nil || want.NodeID < 0 {
		return Identity{}, fmt.Errorf("metadata: cluster id %q, node id %d: %w", truncated(want.ClusterID), want.NodeID, errors.Join(ErrInvalid, err))
	}
	u, err := NewUUID(rand)
	want.Directory = u
	return want, err
}

// checkProperty refuses values that would not come back from a properties file as they went in, or not be shown whole.
func checkProperty(v string) error {
	if len(v) > 64 || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return errors.New("allowed are up to 64 printable ASCII characters but space and backslash")
	}
	return nil
}

func (id Identity) properties() []byte {
	return fmt.Appendf(nil, "version=1\ncluster.id=%s\nnode.id=%d\ndirectory.id=%s\nmillrace.format=%d\n",
		id.ClusterID, id.NodeID, id.Directory, FormatVersion)
}

func parseIdentity(text string) (id Identity, err error) {
	props := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		k, v, ok := strings.Cut(line, "=")
		if !ok {
			return id, fmt.Errorf("%w: line %q has no '='", ErrBrokenIdentity, truncated(line))
		}
		props[strings.TrimSpace(k)] = strings.TrimSpace(v)
	}
	format, err := strconv.Atoi(props["millrace.format"])
	if err != nil {
		return id, fmt.Errorf("%w: millrace.format is %q", ErrBrokenIdentity, truncated(props["millrace.format"]))
	}
	if format > FormatVersion {
		return id, fmt.Errorf("%w: its format is %d, this release reads up to %d; start the release that ran here last, or a newer one", ErrNewerFormat, format, FormatVersion)
	}
	node, err := strconv.ParseInt(props["node.id"], 10, 32)
	if err != nil || node < 0 {
		return id, fmt.Errorf("%w: node.id is %q", ErrBrokenIdentity, truncated(props["node.id"]))
	}
	directory, err := ParseUUID(props["directory.id"])
	if err != nil {
		return id, fmt.Errorf("%w: directory.id: %w", ErrBrokenIdentity, err)
	}
	if props["cluster.id"] == "" {
		return id, fmt.Errorf("%w: it has no cluster.id", ErrBrokenIdentity)
	}
	return Identity{ClusterID: props["cluster.id"], NodeID: int32(node), Directory: directory}, nil
}
