package metadata

import (
	"bytes"
	"context"
	"log/slog"
)

// raftLog passes the lines that raft logs on to slog. A line is a time, a level in brackets, and the message.
type raftLog struct{ log *slog.Logger }

func (l raftLog) Write(p []byte) (int, error) {
	level, msg := slog.LevelDebug, bytes.TrimSpace(p)
	if _, rest, ok := bytes.Cut(msg, []byte("[")); ok {
		if name, text, ok := bytes.Cut(rest, []byte("]")); ok {
			msg = bytes.TrimSpace(text)
			switch string(name) {
			case "WARN":
				level = slog.LevelWarn
			case "ERROR":
				level = slog.LevelError
			}
		}
	}
	l.log.Log(context.Background(), level, string(msg))
	return len(p), nil
}
