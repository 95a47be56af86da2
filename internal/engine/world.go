package engine

import (
	"context"
	"net"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql/types"
)

// world shows one metadata image to pgcatalog.
type world struct {
	e   *Engine
	s   *session // nil where only names are looked up
	img *metadata.Image
}

var _ pgcatalog.World = (*world)(nil)

func (s *session) world() *world { return &world{e: s.e, s: s, img: s.image()} }

func (w *world) Database() string   { return database }
func (w *world) StartMicros() int64 { return w.e.started.UnixMicro() }

func (w *world) Relations() []*planner.Relation {
	var out []*planner.Relation
	for o := range w.img.Objects() {
		if o.Space != spaceRelation || o.Kind == kindIndex {
			continue
		}
		r, err := w.e.relation(context.Background(), w.img, o)
		if err != nil {
			// One relation that cannot be bound must not hide the others.
			w.e.logger.Error("relation cannot be shown", "relation", o.Name, "err", err)
			continue
		}
		out = append(out, r)
	}
	out = append(out, w.e.system.all()...)
	sort.Slice(out, func(i, j int) bool { return out[i].OID < out[j].OID })
	return out
}

func (w *world) RelationByOID(oid uint32) *planner.Relation {
	if r := w.e.system.byOID(metadata.OID(oid)); r != nil {
		return r
	}
	o, ok := w.img.Object(metadata.OID(oid))
	return w.relation(o, ok && o.Space == spaceRelation && o.Kind != kindIndex)
}

func (w *world) Needs(oid uint32) []uint32 {
	o, ok := w.img.Object(metadata.OID(oid))
	if !ok {
		return nil
	}
	out := make([]uint32, len(o.DependsOn))
	for i, need := range o.DependsOn {
		out[i] = uint32(need)
	}
	return out
}

func (w *world) RelationByName(schema, name string) *planner.Relation {
	if r := w.e.system.byName(schema, name); r != nil {
		return r
	}
	o, ok := relationObject(w.img, schema, name)
	return w.relation(o, ok)
}

func (w *world) relation(o *metadata.Object, ok bool) *planner.Relation {
	if !ok {
		return nil
	}
	r, err := w.e.relation(context.Background(), w.img, o)
	if err != nil {
		return nil // Relations logs it
	}
	return r
}

// The OIDs of built-in schemas; pg_catalog and public have PostgreSQL's own.
const (
	oidPgCatalog  = 11
	oidPublic     = 2200
	oidInfoSchema = 13000
	oidMillrace   = 13001
	oidTemp       = 13002
)

func (w *world) Schemas() []pgcatalog.Schema {
	out := []pgcatalog.Schema{
		{OID: oidPgCatalog, Name: "pg_catalog", Owner: superuser, Comment: "system catalog schema"},
		{OID: oidPublic, Name: schemaPublic, Owner: superuser, Comment: "standard public schema"},
		{OID: oidInfoSchema, Name: "information_schema", Owner: superuser},
		{OID: oidMillrace, Name: "millrace", Owner: superuser, Comment: "what runs here, as tables"},
	}
	if w.s != nil && len(w.s.temp.objects) > 0 {
		out = append(out, pgcatalog.Schema{OID: oidTemp, Name: schemaTemp, Owner: superuser})
	}
	for o := range w.img.ObjectsIn(spaceSchema, "") {
		if o.Name == schemaPublic {
			out[1].Owner, out[1].Comment = w.e.userName(w.img, o.Owner), o.Comment
			continue
		}
		out = append(out, pgcatalog.Schema{OID: uint32(o.OID), Name: o.Name, Owner: w.e.userName(w.img, o.Owner), Comment: o.Comment})
	}
	return out
}

func (w *world) Roles() []pgcatalog.Role {
	var out []pgcatalog.Role
	for u := range w.img.Users() {
		out = append(out, pgcatalog.Role{
			OID: uint32(u.OID), Name: u.Name, Superuser: u.Superuser, Login: u.Login, CreateRole: u.CreateRole, CreateDB: u.CreateDB, ConnLimit: u.ConnLimit, Comment: u.Comment,
			MemberOf: roleOIDs(u.MemberOf), ValidUntil: u.ValidUntil,
		})
	}
	return out
}

func roleOIDs(in []metadata.OID) []uint32 {
	out := make([]uint32, len(in))
	for i, o := range in {
		out[i] = uint32(o)
	}
	return out
}

// objectOf is the catalog object of a relation or schema; schema public has one from its first change on.
func (w *world) objectOf(oid uint32) (*metadata.Object, bool) {
	if oid == oidPublic {
		return w.img.ObjectByName(spaceSchema, "", schemaPublic)
	}
	return w.img.Object(metadata.OID(oid))
}

func (w *world) Grants(oid uint32) []pgcatalog.Grant {
	o, ok := w.objectOf(oid)
	if !ok {
		if oid == oidPublic {
			return []pgcatalog.Grant{{Grantor: superuser, Privileges: string(privUsage)}}
		}
		return nil
	}
	var out []pgcatalog.Grant
	for _, g := range o.ACL {
		x := pgcatalog.Grant{Grantor: w.e.userName(w.img, g.Grantor), Privileges: g.Privileges, Options: g.GrantOption}
		if g.Grantee != publicRole {
			x.Grantee = w.e.userName(w.img, g.Grantee)
		}
		out = append(out, x)
	}
	return out
}

func (w *world) Allowed(role string, oid uint32, letters string, option bool) bool {
	o, ok := w.objectOf(oid)
	u, known := w.img.User(role)
	switch {
	case !known && role != "public":
		return false
	case known && u.Superuser:
		return true
	case !ok: // built in: everybody reads and uses it
		return !option && (letters == string(privSelect) || letters == string(privUsage))
	case !known:
		return !option && slices.ContainsFunc(o.ACL, func(g metadata.Grant) bool {
			return g.Grantee == publicRole && strings.ContainsAny(g.Privileges, letters)
		})
	case option:
		return hasRole(w.img, u, ownerOf(o)) || grantable(w.img, u, o, letters) != ""
	default:
		return allowed(w.img, u, o, letters)
	}
}

func (w *world) Sequences() []pgcatalog.Sequence {
	var out []pgcatalog.Sequence
	for o := range w.img.Objects() {
		if o.Kind != kindSequence {
			continue
		}
		def, last, err := w.e.standsAt(w.s, o)
		if err != nil {
			continue
		}
		t, _ := types.Lookup(def.Type)
		out = append(out, pgcatalog.Sequence{
			OID: uint32(o.OID), Type: t, Start: def.Start, Increment: def.Increment, Min: def.Min, Max: def.Max, Cache: def.Cache, Cycle: def.Cycle,
			LastValue: last, Called: def.Called, Table: def.Table, Column: def.Column, Identity: def.Internal,
		})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].OID < out[j].OID })
	return out
}

func (w *world) Settings() []pgcatalog.Setting {
	var out []pgcatalog.Setting
	for key, d := range settingDefs {
		v, _ := w.s.value(key)
		out = append(out, pgcatalog.Setting{
			Name: d.name, Value: v, Default: d.value, Description: d.doc, Category: d.category, ReadOnly: d.readOnly,
		})
	}
	sort.Slice(out, func(i, j int) bool { return strings.ToLower(out[i].Name) < strings.ToLower(out[j].Name) })
	return out
}

func (w *world) Queries() []pgcatalog.Query {
	var out []pgcatalog.Query
	far := farStats{}
	for _, o := range queries(w.img) {
		def, err := w.e.defs.query(o)
		if err != nil {
			continue
		}
		q := pgcatalog.Query{
			OID: uint32(o.OID), ID: o.Name, State: strings.ToUpper(def.State), SQLState: def.SQLState, Error: def.Error, Statement: def.Statement,
		}
		if sink, ok := w.img.Object(metadata.OID(def.Sink)); ok {
			q.Sink = qualified(sink.Schema, sink.Name)
		} else if r := w.e.system.byOID(metadata.OID(def.Sink)); r != nil {
			q.Sink = qualified(r.Schema, r.Name)
		}
		w.e.queryStats(uint64(o.OID), &q, far)
		out = append(out, q)
	}
	return out
}

func (w *world) Tasks() []pgcatalog.Task {
	var out []pgcatalog.Task
	far := farStats{}
	for _, o := range queries(w.img) {
		if def, err := w.e.defs.query(o); err == nil {
			out = append(out, w.e.taskStats(uint64(o.OID), o.Name, strings.ToUpper(def.State), far)...)
		}
	}
	return out
}

func (w *world) Topics() []pgcatalog.Topic {
	var out []pgcatalog.Topic
	for t := range w.img.Topics() {
		x := pgcatalog.Topic{Name: t.Name, Partitions: int32(len(t.Partitions)), CleanupPolicy: "delete"}
		switch {
		case t.Internal():
			x.Owner = "internal"
		case t.Owner.Kind == metadata.OwnerSQL:
			if o, ok := w.img.Object(t.Owner.OID); ok {
				x.Owner = o.Name
			}
		}
		var configs []string
		for k, v := range t.Configs {
			configs = append(configs, k+"="+v)
			if k == "cleanup.policy" {
				x.CleanupPolicy = v
			}
		}
		sort.Strings(configs)
		x.Configs = strings.Join(configs, ", ")
		out = append(out, x)
	}
	return out
}

// boundsTimeout bounds how long millrace.partitions waits for leaders on other nodes.
const boundsTimeout = 2 * time.Second

func (w *world) Partitions() []pgcatalog.Partition {
	var out []pgcatalog.Partition
	ctx, cancel := context.WithTimeout(context.Background(), boundsTimeout)
	defer cancel()
	for t := range w.img.Topics() {
		for i := range t.Partitions {
			p := t.Partitions[i]
			x := pgcatalog.Partition{Topic: t.Name, Partition: p.ID, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, State: "online"}
			o, err := w.e.log.Offsets(ctx, tpOf(t.Name, p.ID))
			if failure := w.e.opts.PartitionFailure; err == nil && failure != nil && p.Leader == w.e.opts.NodeID {
				err = failure(t.Name, p.ID)
			}
			if err != nil {
				x.State = err.Error()
			}
			x.Replicas, x.ISR = commas(p.Replicas), commas(p.ISR)
			x.LogStart, x.HighWatermark, x.LastStable = o.LogStart, o.HighWatermark, o.LastStable
			out = append(out, x)
		}
	}
	return out
}

func (w *world) Groups() []pgcatalog.Group {
	if w.e.opts.Worker {
		return w.e.groupsAfar(w.img)
	}
	return w.e.groups(w.img)
}

func (w *world) Quotas() []pgcatalog.Quota {
	var out []pgcatalog.Quota
	for q := range w.img.Quotas() {
		out = append(out, pgcatalog.Quota{User: q.User, ClientID: q.ClientID, Name: q.Name, Value: q.Value})
	}
	return out
}

// Nodes implements pgcatalog.World.
func (w *world) Nodes() []pgcatalog.Node { return Nodes(w.e.opts.Meta, w.img) }

// Nodes are the nodes as an image of the metadata has them, and whether each votes and leads as meta knows.
func Nodes(meta *metadata.Store, img *metadata.Image) []pgcatalog.Node {
	var out []pgcatalog.Node
	queries, chosen := img.QueryNode()
	for b := range img.Brokers() {
		n := pgcatalog.Node{ID: b.ID, Epoch: int64(b.Epoch), Rack: b.Rack, Release: b.Release, State: "online", Queries: chosen && b.ID == queries}
		n.Votes, n.Controller = meta.Standing(b)
		switch {
		case b.Fenced:
			n.State = "fenced"
		case b.Draining:
			n.State = "draining"
		case img.Drained(b.ID):
			n.State = "drained"
			if n.Queries || leads(img, b.ID) {
				n.State = "draining"
			}
		case img.Full(b.ID):
			n.State = "full"
		}
		for _, ep := range b.Endpoints {
			switch address := net.JoinHostPort(ep.Host, strconv.Itoa(int(ep.Port))); ep.Name {
			case metadata.EndpointPG:
				n.PG = address
			case metadata.EndpointHTTP:
				n.HTTP = address
			case metadata.EndpointKafka:
				n.Kafka = address
			case metadata.EndpointPeer:
				n.Peer = address
			}
		}
		out = append(out, n)
	}
	return out
}

// leads reports whether a node leads a partition.
func leads(img *metadata.Image, id int32) bool {
	for t := range img.Topics() {
		for i := range t.Partitions {
			if t.Partitions[i].Leader == id {
				return true
			}
		}
	}
	return false
}

// commas lists node ids.
func commas(ids []int32) string {
	var b []byte
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(id), 10)
	}
	return string(b)
}

func (w *world) Backends() []pgcatalog.Backend {
	w.e.mu.Lock()
	defer w.e.mu.Unlock()
	var out []pgcatalog.Backend
	for s := range w.e.mu.sessions {
		b := pgcatalog.Backend{PID: s.info.PID, User: s.info.User}
		if s.info.RemoteAddr != nil {
			b.Address = s.info.RemoteAddr.String()
		}
		out = append(out, b)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].PID < out[j].PID })
	return out
}

// catalogSession shows the session to pgcatalog.
type catalogSession struct {
	s   *session
	ctx context.Context
}

var _ pgcatalog.Session = catalogSession{}

func (s *session) catalogSession() catalogSession { return catalogSession{s, context.Background()} }

func (c catalogSession) User() string         { return c.s.currentUser() }
func (c catalogSession) SessionUser() string  { return c.s.info.User }
func (c catalogSession) BackendPID() int32    { return c.s.info.PID }
func (c catalogSession) SearchPath() []string { return c.s.set.searchPath() }
func (c catalogSession) Release() string      { return c.s.e.opts.Release }
func (c catalogSession) StartMicros() int64   { return c.s.begin().micros }

func (c catalogSession) Setting(name string) (string, bool) {
	return c.s.value(strings.ToLower(name))
}

func (c catalogSession) SetSetting(name, value string, local bool) error {
	changed, err := c.s.setTo(name, value, local)
	if err == nil {
		c.s.changed(changed)
	}
	return err
}

func (c catalogSession) Sleep(seconds float64) error {
	if !clock.Wait(c.ctx, c.s.e.clock, seconds2duration(seconds)) {
		return cause(c.ctx, c.ctx.Err())
	}
	return nil
}

func (c catalogSession) Notify(channel, payload string) error { return c.s.notify(channel, payload) }

func (c catalogSession) ListeningChannels() []string { return c.s.e.hub.channels(c.s) }

func (c catalogSession) CancelBackend(pid int32) bool {
	other := c.s.e.sessionByPID(pid)
	if other == nil {
		return false
	}
	other.client.Cancel()
	return true
}

func (c catalogSession) TerminateBackend(pid int32) bool {
	other := c.s.e.sessionByPID(pid)
	if other == nil {
		return false
	}
	other.client.Terminate(sqlerr.New(sqlerr.AdminShutdown, "terminating connection due to administrator command"))
	return true
}

// functions answers the functions of a session in expressions.
type functions struct {
	s   *session
	ctx context.Context
}

var _ expr.SetSession = (*functions)(nil)

// Call implements expr.Session.
func (f *functions) Call(id string, args []types.Datum) (types.Datum, error) {
	d, err := pgcatalog.Call(f.ctx, f.s.world(), catalogSession{f.s, f.ctx}, id, args)
	if err == nil && f.ctx.Err() != nil {
		return d, context.Cause(f.ctx) // it has cancelled or terminated its own session
	}
	return d, err
}

// CallSet implements expr.SetSession.
func (f *functions) CallSet(id string, args []types.Datum) expr.Rows {
	return pgcatalog.CallSet(f.ctx, f.s.world(), catalogSession{f.s, f.ctx}, id, args)
}

func (s *session) regName(k types.Kind, oid uint32) (string, bool) {
	return pgcatalog.RegName(s.world(), s.catalogSession(), k, oid)
}

func (s *session) regOID(k types.Kind, name string) (uint32, error) {
	return pgcatalog.RegOID(s.world(), s.catalogSession(), k, name)
}

// queryObject finds a persistent query by OID.
func (e *Engine) queryObject(oid uint32) (*metadata.Object, bool) {
	return e.meta.Image().Object(metadata.OID(oid))
}

func (e *Engine) sessionByPID(pid int32) *session {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.mu.sessions {
		if s.info.PID == pid {
			return s
		}
	}
	return nil
}
