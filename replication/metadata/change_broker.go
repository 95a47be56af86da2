package metadata

import (
	"fmt"
	"iter"
)

// registerBroker makes a node a broker again, with the index of the entry as its new epoch.
type registerBroker struct {
	broker *Broker
	expect uint64 // epoch of the registration it replaces; 0: the broker must be new
}

func (registerBroker) kind() changeKind { return kindRegisterBroker }

func (c registerBroker) append(b []byte) []byte {
	return appendUint(appendElement(b, 1, c.broker.append(nil)), 2, c.expect)
}

func decodeRegisterBroker(b []byte) (change, error) {
	c := registerBroker{broker: &Broker{}}
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			c.broker = nested(r, decodeBroker)
		case 2:
			c.expect = r.uint()
		}
	}
	return c, r.done("broker registration")
}

func (c registerBroker) apply(tx *imageTx) (uint64, error) {
	if c.broker.ID < 0 {
		return 0, &Error{ErrInvalid, "broker", fmt.Sprint(c.broker.ID), "ids are not negative"}
	}
	if err := tx.brokerEpochIs(c.broker.ID, c.expect); err != nil {
		return 0, err
	}
	if c.expect == 0 {
		if err := aloneInClass(tx.brokers.base.values(nil), c.broker.ID); err != nil {
			return 0, err
		}
	}
	if old, ok := tx.brokers.get(idKey(c.broker.ID)); ok && old.Directory != c.broker.Directory {
		return 0, &Error{
			ErrInvalid, "broker", fmt.Sprint(c.broker.ID),
			fmt.Sprintf("the id belongs to data directory %s: a node with another or a wiped directory needs an id that was never used, or ALTER NODE ... REMOVE first", old.Directory),
		}
	}
	if err := tx.admitsLevel(c.broker); err != nil {
		return 0, err
	}
	k := *c.broker
	k.Epoch = tx.index
	tx.brokers.put(idKey(k.ID), &k)
	return tx.index, nil
}

// IDClasses is how many classes of ids there are: ids that differ by a multiple of it are of one, and a cluster has one broker of each, because the process ids that a node gives to its clients hold
// no more of its id.
const IDClasses = 1024

// CheckID refuses an id that a new broker cannot have, because of another broker.
func (img *Image) CheckID(id int32) error { return aloneInClass(img.Brokers(), id) }

func aloneInClass(brokers iter.Seq[*Broker], id int32) error {
	for k := range brokers {
		if k.ID != id && k.ID%IDClasses == id%IDClasses {
			return &Error{
				ErrInvalid, "broker", fmt.Sprint(id),
				fmt.Sprintf("there is a node %d, and ids must not differ by a multiple of %d: the sessions of both nodes' clients would have the same process ids; give the new node another id", k.ID, IDClasses),
			}
		}
	}
	return nil
}

// brokerEpochIs refuses if broker id is not registered with this epoch; epoch 0 stands for "not registered".
func (tx *imageTx) brokerEpochIs(id int32, epoch uint64) error {
	old, ok := tx.brokers.get(idKey(id))
	switch {
	case !ok && epoch != 0:
		return &Error{ErrNotFound, "broker", fmt.Sprint(id), ""}
	case ok && epoch == 0:
		return &Error{ErrExists, "broker", fmt.Sprint(id), ""}
	case ok && old.Epoch != epoch:
		return &Error{ErrStaleEpoch, "broker", fmt.Sprint(id), fmt.Sprintf("its epoch is %d, not %d", old.Epoch, epoch)}
	}
	return nil
}

// setBrokerState fences, unfences, or drains a registration.
type setBrokerState struct {
	id       int32
	epoch    uint64
	fenced   bool
	draining bool
}

func (setBrokerState) kind() changeKind { return kindSetBrokerState }

func (c setBrokerState) append(b []byte) []byte {
	b = appendInt(b, 1, int64(c.id))
	b = appendUint(b, 2, c.epoch)
	b = appendBool(b, 3, c.fenced)
	return appendBool(b, 4, c.draining)
}

func decodeSetBrokerState(b []byte) (change, error) {
	var c setBrokerState
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			c.id = r.int32()
		case 2:
			c.epoch = r.uint()
		case 3:
			c.fenced = r.bool()
		case 4:
			c.draining = r.bool()
		}
	}
	return c, r.done("broker state")
}

func (c setBrokerState) apply(tx *imageTx) (uint64, error) {
	old, ok := tx.brokers.get(idKey(c.id))
	if !ok || c.epoch == 0 {
		return 0, &Error{ErrNotFound, "broker", fmt.Sprint(c.id), ""}
	}
	if err := tx.brokerEpochIs(c.id, c.epoch); err != nil {
		return 0, err
	}
	k := *old
	k.Fenced, k.Draining = c.fenced, c.draining
	tx.brokers.put(idKey(k.ID), &k)
	return 0, nil
}

// unregisterBroker forgets a broker that no partition names any more.
type unregisterBroker struct {
	id    int32
	epoch uint64
}

func (unregisterBroker) kind() changeKind { return kindUnregisterBroker }

func (c unregisterBroker) append(b []byte) []byte {
	return appendUint(appendInt(b, 1, int64(c.id)), 2, c.epoch)
}

func decodeUnregisterBroker(b []byte) (change, error) {
	var c unregisterBroker
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			c.id = r.int32()
		case 2:
			c.epoch = r.uint()
		}
	}
	return c, r.done("broker removal")
}

func (c unregisterBroker) apply(tx *imageTx) (uint64, error) {
	if _, ok := tx.brokers.get(idKey(c.id)); !ok || c.epoch == 0 {
		return 0, &Error{ErrNotFound, "broker", fmt.Sprint(c.id), ""}
	}
	if err := tx.brokerEpochIs(c.id, c.epoch); err != nil {
		return 0, err
	}
	tx.brokers.delete(idKey(c.id))
	return 0, nil
}

// takeProducerIDs gives the next block of producer ids to a broker.
type takeProducerIDs struct {
	broker int32
	epoch  uint64
}

func (takeProducerIDs) kind() changeKind { return kindTakeProducerIDs }

func (c takeProducerIDs) append(b []byte) []byte {
	return appendUint(appendInt(b, 1, int64(c.broker)), 2, c.epoch)
}

func decodeTakeProducerIDs(b []byte) (change, error) {
	var c takeProducerIDs
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			c.broker = r.int32()
		case 2:
			c.epoch = r.uint()
		}
	}
	return c, r.done("producer id block")
}

func (c takeProducerIDs) apply(tx *imageTx) (uint64, error) {
	if err := tx.brokerEpochIs(c.broker, c.epoch); err != nil {
		return 0, err
	}
	first := tx.nextProducer
	tx.nextProducer += ProducerIDBlockLen
	return uint64(first), nil
}
