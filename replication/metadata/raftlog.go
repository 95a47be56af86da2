package metadata

import (
	"bytes"
	"context"
	"log/slog"
)

// raftLog passes the lines that raft logs on to slog. A line is a time, a level in brackets, and the message.
type raftLog struct{ log *slog.Logger }

// ordinary is how raft's lines begin that it gives as warnings and errors, and that belong to nodes being started and stopped: members come, go and cannot be reached. What comes of that the node
// itself says: that a broker is fenced, that the controller does not answer.
var ordinary = [][]byte{
	[]byte("raft-net: "),
	[]byte("raft: failed to appendEntries to"), []byte("raft: failed to heartbeat to"), []byte("raft: failed to contact"), []byte("raft: failed to make "), []byte("raft: failed to get previous log"),
	[]byte("raft: appendEntries rejected"), []byte("raft: rejecting "), []byte("raft: peer has newer term"),
	[]byte("raft: heartbeat timeout reached"), []byte("raft: Election timeout reached"), []byte("raft: pre-vote "), []byte("raft: no known peers"), []byte("raft: not part of stable configuration"),
}

func (l raftLog) Write(p []byte) (int, error) {
	level, msg := slog.LevelDebug, bytes.TrimSpace(p)
	if _, rest, ok := bytes.Cut(msg, []byte("[")); ok {
		if name, text, ok := bytes.Cut(rest, []byte("]")); ok {
			msg = bytes.TrimSpace(text)
			level = levelOf(string(name), msg)
		}
	}
	l.log.Log(context.Background(), level, string(msg))
	return len(p), nil
}

func levelOf(name string, msg []byte) slog.Level {
	for _, begin := range ordinary {
		if bytes.HasPrefix(msg, begin) {
			return slog.LevelDebug
		}
	}
	switch name {
	case "WARN":
		return slog.LevelWarn
	case "ERROR":
		return slog.LevelError
	}
	return slog.LevelDebug
}
