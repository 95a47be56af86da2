package engine

import (
	"slices"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
)

// rolesOf are a role and all that it is a member of, directly or not.
func rolesOf(img *metadata.Image, u *metadata.User) []metadata.OID {
	roles := []metadata.OID{u.OID}
	for i := 0; i < len(roles); i++ {
		r, ok := img.UserByOID(roles[i])
		if !ok {
			continue
		}
		for _, oid := range r.MemberOf {
			if !slices.Contains(roles, oid) {
				roles = append(roles, oid)
			}
		}
	}
	return roles
}

// hasRole tells whether a role is, or is a member of, another; a superuser is a member of all.
func hasRole(img *metadata.Image, u *metadata.User, role metadata.OID) bool {
	return u.Superuser || slices.Contains(rolesOf(img, u), role)
}

// me is the session's role.
func (s *session) me(img *metadata.Image) (*metadata.User, error) {
	if u, ok := img.User(s.currentUser()); ok {
		return u, nil
	}
	return nil, sqlerr.New(sqlerr.InvalidAuthorization, "role %q was dropped", s.currentUser())
}

// checkOwner refuses to change an object to those who do not own it.
func (s *session) checkOwner(o *metadata.Object) error {
	img := s.image()
	u, err := s.me(img)
	if err != nil || hasRole(img, u, ownerOf(o)) {
		return err
	}
	return sqlerr.New(sqlerr.InsufficientPrivilege, "must be owner of %s %s", kindWord(o.Kind), o.Name)
}

// ownerOf is an object's owner; what has none is the first role's.
func ownerOf(o *metadata.Object) metadata.OID {
	if o.Owner == 0 {
		return metadata.BootstrapUserOID
	}
	return o.Owner
}

// newOwner finds the role that an object is to be given to: the session's role must be a member of it.
func (s *session) newOwner(img *metadata.Image, name string) (metadata.OID, error) {
	owner, err := s.role(img, name)
	if err != nil {
		return 0, err
	}
	u, err := s.me(img)
	if err == nil && !hasRole(img, u, owner.OID) {
		err = sqlerr.New(sqlerr.InsufficientPrivilege, "must be member of role %q", owner.Name)
	}
	return owner.OID, err
}
