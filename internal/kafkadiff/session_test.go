package kafkadiff

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// answerLimit is how long a broker may take for one answer.
const answerLimit = time.Minute

// step is what came back for one request.
type step struct {
	name   string
	fields map[string]string
}

// session is the program's side of one broker.
type session struct {
	t     testing.TB
	addr  string
	conn  net.Conn
	next  int32
	names names
	steps []step
	// versions is what the broker says that it serves.
	versions map[int16][2]int16
}

func newSession(t testing.TB, addr string) *session {
	s := &session{t: t, addr: addr, names: names{}}
	t.Cleanup(s.hangUp)
	return s
}

func (s *session) hangUp() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

// frame is a request as it is sent.
func (s *session) frame(req kmsg.Request) []byte {
	s.next++
	b := make([]byte, 4, 64)
	b = binary.BigEndian.AppendUint16(b, uint16(req.Key()))
	b = binary.BigEndian.AppendUint16(b, uint16(req.GetVersion()))
	b = binary.BigEndian.AppendUint32(b, uint32(s.next))
	b = kbin.AppendNullableString(b, kmsg.StringPtr("kafkadiff"))
	if req.IsFlexible() {
		b = append(b, 0)
	}
	b = req.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// roundTrip sends bytes and returns the body of the answer, nil if the broker closes the connection instead.
func (s *session) roundTrip(frame []byte) []byte {
	if s.conn == nil {
		var d net.Dialer
		c, err := d.DialContext(s.t.Context(), "tcp", s.addr)
		require.NoError(s.t, err)
		s.conn = c
	}
	require.NoError(s.t, s.conn.SetDeadline(time.Now().Add(answerLimit)))
	_, err := s.conn.Write(frame)
	require.NoError(s.t, err)
	var size [4]byte
	if _, err := io.ReadFull(s.conn, size[:]); err != nil {
		var timeout net.Error
		require.False(s.t, asTimeout(err, &timeout), "no answer: %v", err)
		s.hangUp()
		return nil
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err = io.ReadFull(s.conn, b)
	require.NoError(s.t, err)
	return b[4:]
}

// decode is the response to req in a body.
func (s *session) decode(req kmsg.Request, body []byte) kmsg.Response {
	resp := req.ResponseKind()
	if resp.IsFlexible() && req.Key() != int16(kmsg.ApiVersions) {
		body = body[1:]
	}
	require.NoError(s.t, resp.ReadFrom(body), "%s v%d", kmsg.NameForKey(req.Key()), req.GetVersion())
	return resp
}

// ask sends a request and writes down what came back, under a name that says what is asked. It returns the response, or nil if the connection was closed.
func (s *session) ask(name string, req kmsg.Request) kmsg.Response {
	s.t.Helper()
	body := s.roundTrip(s.frame(req))
	name = fmt.Sprintf("%s v%d: %s", kmsg.NameForKey(req.Key()), req.GetVersion(), name)
	if body == nil {
		s.note(name, map[string]string{"connection": "closed"})
		return nil
	}
	resp := s.decode(req, body)
	s.note(name, s.names.flatten(resp))
	return resp
}

// note writes a step down. One that is asked again has a number.
func (s *session) note(name string, fields map[string]string) {
	unique := name
	for i := 2; slices.ContainsFunc(s.steps, func(x step) bool { return x.name == unique }); i++ {
		unique = fmt.Sprintf("%s (%d)", name, i)
	}
	s.steps = append(s.steps, step{unique, fields})
}

// quietly asks what is only needed to go on.
func (s *session) quietly(req kmsg.Request) kmsg.Response {
	s.t.Helper()
	body := s.roundTrip(s.frame(req))
	require.NotNil(s.t, body, "%s v%d: closed", kmsg.NameForKey(req.Key()), req.GetVersion())
	return s.decode(req, body)
}

// raw sends bytes that are no request and writes down whether the connection was closed.
func (s *session) raw(name string, frame []byte) {
	s.t.Helper()
	fields := map[string]string{"connection": "closed"}
	if body := s.roundTrip(frame); body != nil {
		fields["connection"] = fmt.Sprintf("answered %x", body)
	}
	s.hangUp()
	s.note("raw: "+name, fields)
}

// each calls f for every version of a key that is to be compared.
func (s *session) each(key kmsg.Key, f func(v int16)) {
	r, ok := s.versions[int16(key)]
	if !ok {
		return
	}
	for v := r[0]; v <= r[1]; v++ {
		f(v)
	}
}

// apiVersions learns what the broker serves.
func (s *session) apiVersions() map[int16][2]int16 {
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, "kafkadiff", "1"
	all := map[int16][2]int16{}
	for _, k := range s.quietly(req).(*kmsg.ApiVersionsResponse).ApiKeys {
		all[k.ApiKey] = [2]int16{k.MinVersion, k.MaxVersion}
	}
	return all
}

// until asks again and again until done is true.
func (s *session) until(done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(answerLimit); !done(); {
		require.True(s.t, time.Now().Before(deadline), "what is waited for does not come")
	}
}

// warm waits until the broker coordinates groups and transactions and gives out producer ids.
func (s *session) warm() {
	wait := func(req kmsg.Request, code func(kmsg.Response) int16) {
		s.until(func() bool {
			switch code(s.quietly(req)) {
			case kerr.CoordinatorLoadInProgress.Code, kerr.CoordinatorNotAvailable.Code, kerr.NotCoordinator.Code:
				return false
			}
			return true
		})
	}
	for kind := range int8(2) {
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.Version, find.CoordinatorType, find.CoordinatorKey = 2, kind, "warm"
		wait(find, func(r kmsg.Response) int16 { return r.(*kmsg.FindCoordinatorResponse).ErrorCode })
	}
	for i := range 16 { // more than there are partitions of the coordinators' topics
		group := fmt.Sprint("warm-", i)
		wait(offsetFetch(7, group, ""), func(r kmsg.Response) int16 { return r.(*kmsg.OffsetFetchResponse).ErrorCode })
		wait(initTxn(4, group, 60_000), func(r kmsg.Response) int16 { return r.(*kmsg.InitProducerIDResponse).ErrorCode })
	}
}
