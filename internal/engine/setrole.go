package engine

import "github.com/millracedb/millrace/internal/sqlerr"

// SET ROLE is a setting (PostgreSQL docs, SET ROLE): the name of a role whose rights count instead of those of the user that logged in.
const (
	settingRole = "role"
	noRole      = "none"
)

// currentUser is the role whose rights count.
func (s *session) currentUser() string {
	if r := s.set.must(settingRole); r != noRole {
		return r
	}
	return s.info.User
}

// setTo changes a setting. A role must be one that the user is a member of.
func (s *session) setTo(name, value string, local bool) (string, error) {
	if name == settingRole && value != noRole {
		if err := s.checkSetRole(value); err != nil {
			return "", err
		}
	}
	return s.set.set(name, value, local)
}

func (s *session) checkSetRole(name string) error {
	img := s.image()
	role, ok := img.User(name)
	if !ok {
		return sqlerr.New(sqlerr.InvalidParameterValue, "role %q does not exist", name)
	}
	login, ok := img.User(s.info.User)
	if !ok || !hasRole(img, login, role.OID) {
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to set role %q", name)
	}
	return nil
}

// roleChanged tells the client whether it is a superuser now.
func (s *session) roleChanged() {
	if now := s.superuserSetting(); now != s.set.base["is_superuser"] {
		s.set.base["is_superuser"] = now
		s.client.ParameterChanged("is_superuser", now)
	}
}

func (s *session) superuserSetting() string {
	if s.isSuperuser() {
		return "on"
	}
	return "off"
}

// namePath is what gives the names in a statement their meaning, and who may use what they stand for.
func (s *session) namePath() string { return s.set.must("search_path") + "\x00" + s.currentUser() }
