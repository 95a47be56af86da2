package metadata

// How each type is written; docs/formats/metadata.md lists the fields. Numbers are for ever.

func (e Endpoint) append(b []byte) []byte {
	b = appendString(b, 1, e.Name)
	b = appendString(b, 2, e.Host)
	b = appendUint(b, 3, uint64(e.Port))
	return appendString(b, 4, e.Protocol)
}

func decodeEndpoint(b []byte) (e Endpoint, err error) {
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			e.Name = r.string()
		case 2:
			e.Host = r.string()
		case 3:
			e.Port = uint16(r.uint())
		case 4:
			e.Protocol = r.string()
		}
	}
	return e, r.done("endpoint")
}

func (k *Broker) append(b []byte) []byte {
	b = appendInt(b, 1, int64(k.ID))
	b = appendUint(b, 2, k.Epoch)
	b = appendUUID(b, 3, k.Incarnation)
	b = appendUUID(b, 4, k.Directory)
	for _, e := range k.Endpoints {
		b = appendElement(b, 5, e.append(nil))
	}
	b = appendString(b, 6, k.Rack)
	b = appendString(b, 7, k.Release)
	b = appendUint(b, 8, uint64(k.FeatureMin))
	b = appendUint(b, 9, uint64(k.FeatureMax))
	b = appendBool(b, 10, k.Fenced)
	return appendBool(b, 11, k.Draining)
}

func decodeBroker(b []byte) (*Broker, error) {
	k, r := &Broker{}, read(b)
	for r.next() {
		switch r.num {
		case 1:
			k.ID = r.int32()
		case 2:
			k.Epoch = r.uint()
		case 3:
			k.Incarnation = r.uuid()
		case 4:
			k.Directory = r.uuid()
		case 5:
			k.Endpoints = append(k.Endpoints, nested(r, decodeEndpoint))
		case 6:
			k.Rack = r.string()
		case 7:
			k.Release = r.string()
		case 8:
			k.FeatureMin = r.uint32()
		case 9:
			k.FeatureMax = r.uint32()
		case 10:
			k.Fenced = r.bool()
		case 11:
			k.Draining = r.bool()
		}
	}
	return k, r.done("broker")
}

func (p Partition) append(b []byte) []byte {
	b = appendInt(b, 1, int64(p.ID))
	b = appendInts(b, 2, p.Replicas)
	b = appendInts(b, 3, p.ISR)
	b = appendInts(b, 4, p.ELR)
	b = appendInts(b, 5, p.LastKnownELR)
	b = appendInts(b, 6, p.Adding)
	b = appendInts(b, 7, p.Removing)
	for _, d := range p.Directories {
		b = appendElement(b, 8, d[:])
	}
	b = appendInt(b, 9, int64(p.Leader))
	b = appendInt(b, 10, int64(p.LeaderEpoch))
	b = appendInt(b, 11, int64(p.PartitionEpoch))
	b = appendInt(b, 12, int64(p.RecoveryState))
	b = appendInts(b, 13, p.Target)
	b = appendInt(b, 14, int64(p.Wanted))
	return appendInt(b, 15, int64(p.AddedAt))
}

func decodePartition(b []byte) (p Partition, err error) {
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			p.ID = r.int32()
		case 2:
			p.Replicas = r.ints()
		case 3:
			p.ISR = r.ints()
		case 4:
			p.ELR = r.ints()
		case 5:
			p.LastKnownELR = r.ints()
		case 6:
			p.Adding = r.ints()
		case 7:
			p.Removing = r.ints()
		case 8:
			p.Directories = append(p.Directories, r.uuid())
		case 9:
			p.Leader = r.int32()
		case 10:
			p.LeaderEpoch = r.int32()
		case 11:
			p.PartitionEpoch = r.int32()
		case 12:
			p.RecoveryState = RecoveryState(r.int8())
		case 13:
			p.Target = r.ints()
		case 14:
			p.Wanted = r.int32()
		case 15:
			p.AddedAt = r.int32()
		}
	}
	return p, r.done("partition")
}

func (o Owner) append(b []byte) []byte {
	return appendUint(appendUint(b, 1, uint64(o.Kind)), 2, uint64(o.OID))
}

func decodeOwner(b []byte) (o Owner, err error) {
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			o.Kind = OwnerKind(r.uint())
		case 2:
			o.OID = OID(r.uint32())
		}
	}
	return o, r.done("owner")
}

func (t *Topic) append(b []byte) []byte {
	b = appendUUID(b, 1, t.ID)
	b = appendString(b, 2, t.Name)
	b = appendBytes(b, 3, t.Owner.append(nil))
	b = appendInt(b, 4, int64(t.WantedReplicas))
	b = appendMap(b, 5, t.Configs)
	for _, p := range t.Partitions {
		b = appendElement(b, 6, p.append(nil))
	}
	b = appendUint(b, 7, t.CreatedAt)
	return appendUint(b, 8, uint64(t.PartitionsEpoch))
}

func decodeTopic(b []byte) (*Topic, error) {
	t, r := &Topic{}, read(b)
	for r.next() {
		switch r.num {
		case 1:
			t.ID = r.uuid()
		case 2:
			t.Name = r.string()
		case 3:
			t.Owner = nested(r, decodeOwner)
		case 4:
			t.WantedReplicas = r.int32()
		case 5:
			t.Configs = r.pair(t.Configs)
		case 6:
			t.Partitions = append(t.Partitions, nested(r, decodePartition))
		case 7:
			t.CreatedAt = r.uint()
		case 8:
			t.PartitionsEpoch = r.uint32()
		}
	}
	return t, r.done("topic")
}

func (g Grant) append(b []byte) []byte {
	b = appendUint(b, 1, uint64(g.Grantee))
	b = appendUint(b, 2, uint64(g.Grantor))
	b = appendString(b, 3, g.Privileges)
	return appendString(b, 4, g.GrantOption)
}

func decodeGrant(b []byte) (g Grant, err error) {
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			g.Grantee = OID(r.uint32())
		case 2:
			g.Grantor = OID(r.uint32())
		case 3:
			g.Privileges = r.string()
		case 4:
			g.GrantOption = r.string()
		}
	}
	return g, r.done("grant")
}

func (o *Object) append(b []byte) []byte {
	b = appendUint(b, 1, uint64(o.OID))
	b = appendString(b, 2, o.Kind)
	b = appendString(b, 3, o.Space)
	b = appendString(b, 4, o.Schema)
	b = appendString(b, 5, o.Name)
	b = appendUint(b, 6, uint64(o.Owner))
	for _, g := range o.ACL {
		b = appendElement(b, 7, g.append(nil))
	}
	b = appendString(b, 8, o.Comment)
	b = appendUint(b, 9, o.Version)
	b = appendBytes(b, 10, o.Payload)
	return appendOIDs(b, 11, o.DependsOn)
}

func decodeObject(b []byte) (*Object, error) {
	o, r := &Object{}, read(b)
	for r.next() {
		switch r.num {
		case 1:
			o.OID = OID(r.uint32())
		case 2:
			o.Kind = r.string()
		case 3:
			o.Space = r.string()
		case 4:
			o.Schema = r.string()
		case 5:
			o.Name = r.string()
		case 6:
			o.Owner = OID(r.uint32())
		case 7:
			o.ACL = append(o.ACL, nested(r, decodeGrant))
		case 8:
			o.Comment = r.string()
		case 9:
			o.Version = r.uint()
		case 10:
			o.Payload = r.bytes()
		case 11:
			o.DependsOn = r.oids()
		}
	}
	return o, r.done("object")
}

func (v Verifier) append(b []byte) []byte {
	b = appendString(b, 1, v.Mechanism)
	b = appendBytes(b, 2, v.Salt)
	b = appendUint(b, 3, uint64(v.Iterations))
	b = appendBytes(b, 4, v.StoredKey)
	return appendBytes(b, 5, v.ServerKey)
}

func decodeVerifier(b []byte) (v Verifier, err error) {
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			v.Mechanism = r.string()
		case 2:
			v.Salt = r.bytes()
		case 3:
			v.Iterations = r.uint32()
		case 4:
			v.StoredKey = r.bytes()
		case 5:
			v.ServerKey = r.bytes()
		}
	}
	return v, r.done("verifier")
}

func (u *User) append(b []byte) []byte {
	b = appendUint(b, 1, uint64(u.OID))
	b = appendString(b, 2, u.Name)
	b = appendUint(b, 3, u.Version)
	b = appendBool(b, 4, u.Login)
	b = appendBool(b, 5, u.Superuser)
	b = appendBool(b, 6, u.CreateRole)
	b = appendBool(b, 7, u.CreateDB)
	b = appendOIDs(b, 8, u.MemberOf)
	for _, v := range u.Verifiers {
		b = appendElement(b, 9, v.append(nil))
	}
	b = appendString(b, 10, u.Comment)
	b = appendInt(b, 11, int64(u.ConnLimit))
	b = appendInt(b, 12, u.ValidUntil)
	return appendMap(b, 13, u.Settings)
}

func decodeUser(b []byte) (*User, error) {
	u, r := &User{}, read(b)
	for r.next() {
		switch r.num {
		case 1:
			u.OID = OID(r.uint32())
		case 2:
			u.Name = r.string()
		case 3:
			u.Version = r.uint()
		case 4:
			u.Login = r.bool()
		case 5:
			u.Superuser = r.bool()
		case 6:
			u.CreateRole = r.bool()
		case 7:
			u.CreateDB = r.bool()
		case 8:
			u.MemberOf = r.oids()
		case 9:
			u.Verifiers = append(u.Verifiers, nested(r, decodeVerifier))
		case 10:
			u.Comment = r.string()
		case 11:
			u.ConnLimit = r.int32()
		case 12:
			u.ValidUntil = r.int()
		case 13:
			u.Settings = r.pair(u.Settings)
		}
	}
	return u, r.done("user")
}

func (a ACL) append(b []byte) []byte {
	b = appendInt(b, 1, int64(a.ResourceType))
	b = appendString(b, 2, a.ResourceName)
	b = appendInt(b, 3, int64(a.PatternType))
	b = appendString(b, 4, a.Principal)
	b = appendString(b, 5, a.Host)
	b = appendInt(b, 6, int64(a.Operation))
	return appendInt(b, 7, int64(a.Permission))
}

func decodeACL(b []byte) (a ACL, err error) {
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			a.ResourceType = r.int8()
		case 2:
			a.ResourceName = r.string()
		case 3:
			a.PatternType = r.int8()
		case 4:
			a.Principal = r.string()
		case 5:
			a.Host = r.string()
		case 6:
			a.Operation = r.int8()
		case 7:
			a.Permission = r.int8()
		}
	}
	return a, r.done("access rule")
}

// setting is a SettingKey and, when it is one to keep, its value.
type setting struct {
	SettingKey
	value string
}

func (s setting) append(b []byte) []byte {
	b = appendString(b, 1, s.Scope)
	b = appendString(b, 2, s.Entity)
	b = appendString(b, 3, s.Name)
	return appendString(b, 4, s.value)
}

func decodeSetting(b []byte) (s setting, err error) {
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			s.Scope = r.string()
		case 2:
			s.Entity = r.string()
		case 3:
			s.Name = r.string()
		case 4:
			s.value = r.string()
		}
	}
	return s, r.done("setting")
}
