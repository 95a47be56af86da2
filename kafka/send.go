package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

const (
	// sendfileBytes is from where on it is cheaper to have the kernel copy from file to socket than to read and write.
	sendfileBytes = 16 << 10
	// copyBytes is how much is copied at a time where the kernel cannot do it.
	copyBytes = 64 << 10
)

// errFileShort ends a connection whose records were cut from the log while they were sent: the size has been told already.
var errFileShort = errors.New("the log was cut while it was sent")

// sendFetch sends a response with its records from where they are.
func (c *conn) sendFetch(correlation int32, f *fetchResponse) error {
	b := appendHeader(c.out[:0], correlation, f)
	b, splices := f.layout(b)
	size := int64(len(b) - sizeBytes)
	for _, s := range splices {
		size += s.records.Len()
	}
	if size > 1<<31-1 {
		return fmt.Errorf("fetch response of %d bytes", size)
	}
	binary.BigEndian.PutUint32(b, uint32(size))
	c.keepOut(b)
	if err := c.nc.SetWriteDeadline(c.server.config.Clock.Deadline(writeTimeout)); err != nil {
		return err
	}
	var pieces net.Buffers // not sent yet
	from := 0
	for _, s := range splices {
		pieces = append(pieces, b[from:s.at])
		from = s.at
		if data := s.records.Data(); data != nil {
			pieces = append(pieces, data)
			continue
		}
		if _, err := pieces.WriteTo(c.nc); err != nil {
			return err
		}
		pieces = pieces[:0]
		if err := c.sendFromFile(s.records); err != nil {
			return err
		}
	}
	pieces = append(pieces, b[from:])
	_, err := pieces.WriteTo(c.nc)
	return err
}

// sendFromFile sends records that are in a file: from file to socket where both are the kernel's and there is enough of them, else by copying.
func (c *conn) sendFromFile(r Records) error {
	tcp, plain := c.nc.(*net.TCPConn)
	fd, pos, ok := r.FileRange()
	if plain && ok && r.Len() >= sendfileBytes {
		done, err := sendFile(tcp, fd, pos, r.Len())
		if done || err != nil {
			return err
		}
	}
	buf := make([]byte, min(r.Len(), copyBytes))
	for at := int64(0); at < r.Len(); {
		p := buf[:min(int64(len(buf)), r.Len()-at)]
		n, err := r.ReadAt(p, at)
		if n < len(p) {
			if err == nil || errors.Is(err, io.EOF) {
				err = errFileShort
			}
			return err
		}
		if _, err := c.nc.Write(p); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}
