package metadata

import "fmt"

// change is one step of an entry. Each kind has a number for ever and a version that rises when its meaning or fields do; a reader that meets
// a kind or version above its own stops the node.
type change interface {
	kind() changeKind
	append(b []byte) []byte
	// apply changes tx and returns the number the proposer asked for, if any (an OID, the first producer id). It refuses with an *Error.
	// It reads nothing but tx and itself: no clock, no randomness, no settings of this process.
	apply(tx *imageTx) (uint64, error)
}

type changeKind uint64

const (
	kindRegisterBroker   changeKind = 1
	kindSetBrokerState   changeKind = 2
	kindUnregisterBroker changeKind = 3
	kindCreateTopic      changeKind = 10
	kindDeleteTopic      changeKind = 11
	kindAddPartitions    changeKind = 12
	kindChangePartition  changeKind = 13
	kindSetTopicConfigs  changeKind = 14
	kindSetTopicOwner    changeKind = 15
	kindPutObject        changeKind = 20
	kindDeleteObject     changeKind = 21
	kindTakeOIDs         changeKind = 22
	kindPutUser          changeKind = 30
	kindDeleteUser       changeKind = 31
	kindPutACL           changeKind = 32
	kindDeleteACL        changeKind = 33
	kindPutSetting       changeKind = 40
	kindDeleteSetting    changeKind = 41
	kindTakeProducerIDs  changeKind = 42
	kindSetFeatureLevel  changeKind = 43
)

// known is what this release can read: for each kind the highest version and the decoder, which gets the version it was written with.
var known = map[changeKind]struct {
	version uint64
	decode  func([]byte) (change, error)
}{
	kindRegisterBroker:   {1, decodeRegisterBroker},
	kindSetBrokerState:   {1, decodeSetBrokerState},
	kindUnregisterBroker: {1, decodeUnregisterBroker},
	kindCreateTopic:      {1, decodeCreateTopic},
	kindDeleteTopic:      {1, decodeDeleteTopic},
	kindAddPartitions:    {1, decodeAddPartitions},
	kindChangePartition:  {2, decodeChangePartition},
	kindSetTopicConfigs:  {1, decodeSetTopicConfigs},
	kindSetTopicOwner:    {1, decodeSetTopicOwner},
	kindPutObject:        {1, decodePutObject},
	kindDeleteObject:     {1, decodeDeleteObject},
	kindTakeOIDs:         {1, decodeTakeOIDs},
	kindPutUser:          {1, decodePutUser},
	kindDeleteUser:       {1, decodeDeleteUser},
	kindPutACL:           {1, decodePutACL},
	kindDeleteACL:        {1, decodeDeleteACL},
	kindPutSetting:       {1, decodePutSetting},
	kindDeleteSetting:    {1, decodeDeleteSetting},
	kindTakeProducerIDs:  {1, decodeTakeProducerIDs},
	kindSetFeatureLevel:  {2, decodeSetFeatureLevel},
}

// entry is a batch as it is proposed: kind and version of the entry itself first, so that even they can change.
type entry struct {
	release string // that wrote it
	request UUID
	changes []change
}

const (
	entryKindBatch    = 1
	entryVersionBatch = 1
)

func (e *entry) encode() []byte {
	b := appendUint(nil, 1, entryKindBatch)
	b = appendUint(b, 2, entryVersionBatch)
	b = appendString(b, 3, e.release)
	b = appendUUID(b, 4, e.request)
	for _, c := range e.changes {
		m := appendUint(nil, 1, uint64(c.kind()))
		m = appendUint(m, 2, versionOf(c))
		m = appendElement(m, 3, c.append(nil))
		b = appendElement(b, 5, m)
	}
	return b
}

// versionOf is the version that a change is written with: the lowest that says all of it, so that a node of an older release stops only at what it cannot read.
func versionOf(c change) uint64 {
	if v, ok := c.(interface{ version() uint64 }); ok {
		return v.version()
	}
	return 1
}

// decodeEntry answers *UnknownEntryError (without the index) for what a newer release wrote. level is the highest that this release knows.
func decodeEntry(b []byte, level uint32) (*entry, error) {
	var kind, version uint64
	var raw [][]byte
	e, r := &entry{}, read(b)
	for r.next() {
		switch r.num {
		case 1:
			kind = r.uint()
		case 2:
			version = r.uint()
		case 3:
			e.release = r.string()
		case 4:
			e.request = r.uuid()
		case 5:
			raw = append(raw, r.message())
		}
	}
	if err := r.done("entry"); err != nil {
		return nil, err
	}
	if kind != entryKindBatch || version > entryVersionBatch {
		return nil, &UnknownEntryError{Kind: kind, Version: version, Release: e.release}
	}
	for _, m := range raw {
		c, err := decodeChange(m, e.release, level)
		if err != nil {
			return nil, err
		}
		e.changes = append(e.changes, c)
	}
	return e, nil
}

func decodeChange(b []byte, release string, level uint32) (change, error) {
	var kind, version uint64
	var body []byte
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			kind = r.uint()
		case 2:
			version = r.uint()
		case 3:
			body = r.message()
		}
	}
	if err := r.done("change"); err != nil {
		return nil, err
	}
	k, ok := known[changeKind(kind)]
	if !ok || version > k.version || since[changeKind(kind)][version] > level {
		return nil, &UnknownEntryError{Kind: kind, Version: version, Release: release}
	}
	c, err := k.decode(body)
	if err != nil {
		return nil, fmt.Errorf("metadata: change of kind %d: %w", kind, err)
	}
	return c, nil
}

// applyEntry applies all changes of e to img or none. Results are parallel to the changes, but zeros at the end are left out: they are remembered for long,
// and an election of thousands of partitions has nothing to answer.
func applyEntry(img *Image, index uint64, e *entry) (*Image, []uint64, error) {
	tx := img.begin(index)
	results := make([]uint64, len(e.changes))
	for i, c := range e.changes {
		v, err := c.apply(tx)
		if err != nil {
			return nil, nil, err
		}
		results[i] = v
	}
	if err := tx.check(); err != nil {
		return nil, nil, err
	}
	n := len(results)
	for n > 0 && results[n-1] == 0 {
		n--
	}
	return tx.commit(), append([]uint64(nil), results[:n]...), nil
}
