package metadata

import (
	"fmt"
	"strings"
)

// MaxNameBytes bounds the names of objects, schemas, users and settings.
const MaxNameBytes = 255

// checkName refuses names that the maps of the image cannot hold apart.
func checkName(what, name string) error {
	switch {
	case name == "":
		return &Error{ErrInvalid, what, name, "the name is empty"}
	case len(name) > MaxNameBytes:
		return &Error{ErrInvalid, what, truncated(name), fmt.Sprintf("names have at most %d bytes", MaxNameBytes)}
	case strings.IndexByte(name, 0) >= 0:
		return &Error{ErrInvalid, what, truncated(name), "names hold no zero byte"}
	}
	return nil
}

func truncated(name string) string {
	if len(name) > 64 {
		return name[:64] + "..."
	}
	return name
}

// putObject makes an object or replaces it by its next version.
type putObject struct{ object *Object }

func (putObject) kind() changeKind         { return kindPutObject }
func (c putObject) append(b []byte) []byte { return appendElement(b, 1, c.object.append(nil)) }

func decodePutObject(b []byte) (change, error) {
	c := putObject{object: &Object{}}
	r := read(b)
	for r.next() {
		if r.num == 1 {
			c.object = nested(r, decodeObject)
		}
	}
	return c, r.done("object")
}

func (c putObject) apply(tx *imageTx) (uint64, error) {
	o := *c.object
	if err := checkName("object", o.Name); err != nil {
		return 0, err
	}
	if strings.IndexByte(o.Space+o.Schema+o.Kind, 0) >= 0 {
		return 0, &Error{ErrInvalid, "object", o.Name, "names hold no zero byte"}
	}
	if err := tx.objectVersionIs(&o); err != nil {
		return 0, err
	}
	if o.OID == 0 {
		oid, err := tx.takeOIDs(1)
		if err != nil {
			return 0, err
		}
		o.OID = oid
	}
	if other, ok := tx.names.get(stringsKey(o.Space, o.Schema, o.Name)); ok && other.OID != o.OID {
		return 0, &Error{ErrExists, other.Kind, o.Name, ""}
	}
	o.Version++
	tx.putObject(&o)
	return uint64(o.OID), nil
}

// objectVersionIs refuses a put made from another version than the present one. Version 0 is "does not exist".
func (tx *imageTx) objectVersionIs(o *Object) error {
	if o.OID == 0 {
		if o.Version != 0 {
			return &Error{ErrInvalid, "object", o.Name, "a new object has no version"}
		}
		return nil
	}
	if o.OID >= tx.nextOID {
		return &Error{ErrInvalid, "object", o.Name, fmt.Sprintf("OID %d was given to nobody", o.OID)}
	}
	old, ok := tx.objects.get(oidKey(o.OID))
	switch {
	case !ok && o.Version != 0:
		return &Error{ErrNotFound, "object", o.Name, ""}
	case ok && o.Version == 0:
		return &Error{ErrExists, "object", old.Name, ""}
	case ok && old.Version != o.Version:
		return &Error{ErrVersionConflict, "object", old.Name, fmt.Sprintf("it is at version %d, not %d", old.Version, o.Version)}
	}
	return nil
}

// oidAtVersion names what is to be deleted, and the version that the proposer has seen of it.
type oidAtVersion struct {
	oid     OID
	version uint64
}

func (v oidAtVersion) append(b []byte) []byte {
	return appendUint(appendUint(b, 1, uint64(v.oid)), 2, v.version)
}

func decodeOIDAtVersion(b []byte, what string) (oidAtVersion, error) {
	var v oidAtVersion
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			v.oid = OID(r.uint32())
		case 2:
			v.version = r.uint()
		}
	}
	return v, r.done(what)
}

// deleteObject deletes an object at a version.
type deleteObject struct{ oidAtVersion }

func (deleteObject) kind() changeKind { return kindDeleteObject }

func decodeDeleteObject(b []byte) (change, error) {
	at, err := decodeOIDAtVersion(b, "object deletion")
	return deleteObject{at}, err
}

func (c deleteObject) apply(tx *imageTx) (uint64, error) {
	o, ok := tx.objects.get(oidKey(c.oid))
	if !ok {
		return 0, &Error{ErrNotFound, "object", fmt.Sprint(c.oid), ""}
	}
	if o.Version != c.version {
		return 0, &Error{ErrVersionConflict, "object", o.Name, fmt.Sprintf("it is at version %d, not %d", o.Version, c.version)}
	}
	tx.deleteObject(o)
	return 0, nil
}

// takeOIDs gives n consecutive OIDs to the proposer.
type takeOIDs struct{ n uint32 }

func (takeOIDs) kind() changeKind         { return kindTakeOIDs }
func (c takeOIDs) append(b []byte) []byte { return appendUint(b, 1, uint64(c.n)) }

func decodeTakeOIDs(b []byte) (change, error) {
	var c takeOIDs
	r := read(b)
	for r.next() {
		if r.num == 1 {
			c.n = r.uint32()
		}
	}
	return c, r.done("OIDs")
}

func (c takeOIDs) apply(tx *imageTx) (uint64, error) {
	first, err := tx.takeOIDs(c.n)
	return uint64(first), err
}

// putSetting sets a setting; the last writer wins, as for Kafka's IncrementalAlterConfigs.
type putSetting struct{ setting setting }

func (putSetting) kind() changeKind         { return kindPutSetting }
func (c putSetting) append(b []byte) []byte { return appendElement(b, 1, c.setting.append(nil)) }

func decodePutSetting(b []byte) (change, error) {
	var c putSetting
	r := read(b)
	for r.next() {
		if r.num == 1 {
			c.setting = nested(r, decodeSetting)
		}
	}
	return c, r.done("setting")
}

func (c putSetting) apply(tx *imageTx) (uint64, error) {
	if err := checkName("setting", c.setting.Name); err != nil {
		return 0, err
	}
	if strings.IndexByte(c.setting.Scope+c.setting.Entity, 0) >= 0 {
		return 0, &Error{ErrInvalid, "setting", c.setting.Name, "names hold no zero byte"}
	}
	tx.settings.put(c.setting.key(), c.setting)
	return 0, nil
}

// deleteSetting removes a setting; one that is not set is no error.
type deleteSetting struct{ key SettingKey }

func (deleteSetting) kind() changeKind { return kindDeleteSetting }

func (c deleteSetting) append(b []byte) []byte {
	return appendElement(b, 1, setting{SettingKey: c.key}.append(nil))
}

func decodeDeleteSetting(b []byte) (change, error) {
	var c deleteSetting
	r := read(b)
	for r.next() {
		if r.num == 1 {
			c.key = nested(r, decodeSetting).SettingKey
		}
	}
	return c, r.done("setting removal")
}

func (c deleteSetting) apply(tx *imageTx) (uint64, error) {
	tx.settings.delete(c.key.key())
	return 0, nil
}
