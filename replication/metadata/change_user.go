package metadata

import "fmt"

// putUser makes a user or replaces it by its next version.
type putUser struct{ user *User }

func (putUser) kind() changeKind         { return kindPutUser }
func (c putUser) append(b []byte) []byte { return appendElement(b, 1, c.user.append(nil)) }

func decodePutUser(b []byte) (change, error) {
	c := putUser{user: &User{}}
	r := read(b)
	for r.next() {
		if r.num == 1 {
			c.user = nested(r, decodeUser)
		}
	}
	return c, r.done("user")
}

// BootstrapUserOID is the OID of the first superuser (PostgreSQL's BOOTSTRAP_SUPERUSERID): the one user whose OID is not given by the cluster.
const BootstrapUserOID OID = 10

func (c putUser) apply(tx *imageTx) (uint64, error) {
	u := *c.user
	if err := checkName("user", u.Name); err != nil {
		return 0, err
	}
	if u.OID >= tx.nextOID || u.OID == 0 && u.Version != 0 {
		return 0, &Error{ErrInvalid, "user", u.Name, fmt.Sprintf("OID %d was given to nobody", u.OID)}
	}
	if u.OID == 0 {
		oid, err := tx.takeOIDs(1)
		if err != nil {
			return 0, err
		}
		u.OID = oid
	}
	old, ok := tx.userIDs.get(oidKey(u.OID))
	switch {
	case ok && old.Version != u.Version:
		return 0, &Error{ErrVersionConflict, "user", u.Name, fmt.Sprintf("it is at version %d, not %d", old.Version, u.Version)}
	case !ok && u.Version != 0:
		return 0, &Error{ErrNotFound, "user", u.Name, ""}
	}
	if other, ok := tx.users.get([]byte(u.Name)); ok && other.OID != u.OID {
		return 0, &Error{ErrExists, "user", u.Name, ""}
	}
	u.Version++
	tx.putUser(&u)
	return uint64(u.OID), nil
}

// deleteUser deletes a user at a version. Who owns what is for the proposer to see to: the image does not index it.
type deleteUser struct{ oidAtVersion }

func (deleteUser) kind() changeKind { return kindDeleteUser }

func decodeDeleteUser(b []byte) (change, error) {
	at, err := decodeOIDAtVersion(b, "user deletion")
	return deleteUser{at}, err
}

func (c deleteUser) apply(tx *imageTx) (uint64, error) {
	u, ok := tx.userIDs.get(oidKey(c.oid))
	if !ok {
		return 0, &Error{ErrNotFound, "user", fmt.Sprint(c.oid), ""}
	}
	if u.Version != c.version {
		return 0, &Error{ErrVersionConflict, "user", u.Name, fmt.Sprintf("it is at version %d, not %d", u.Version, c.version)}
	}
	tx.deleteUser(u)
	return 0, nil
}

// putACL adds an access rule; one that is there already is no error, as for Kafka's CreateAcls.
type putACL struct{ acl ACL }

func (putACL) kind() changeKind         { return kindPutACL }
func (c putACL) append(b []byte) []byte { return appendElement(b, 1, c.acl.append(nil)) }

func decodePutACL(b []byte) (change, error) {
	acl, err := decodeACLChange(b)
	return putACL{acl}, err
}

func decodeACLChange(b []byte) (acl ACL, err error) {
	r := read(b)
	for r.next() {
		if r.num == 1 {
			acl = nested(r, decodeACL)
		}
	}
	return acl, r.done("access rule")
}

func (c putACL) apply(tx *imageTx) (uint64, error) {
	tx.acls.put(c.acl.append(nil), c.acl)
	return 0, nil
}

// deleteACL removes an access rule; one that is not there is no error.
type deleteACL struct{ acl ACL }

func (deleteACL) kind() changeKind         { return kindDeleteACL }
func (c deleteACL) append(b []byte) []byte { return appendElement(b, 1, c.acl.append(nil)) }

func decodeDeleteACL(b []byte) (change, error) {
	acl, err := decodeACLChange(b)
	return deleteACL{acl}, err
}

func (c deleteACL) apply(tx *imageTx) (uint64, error) {
	tx.acls.delete(c.acl.append(nil))
	return 0, nil
}
