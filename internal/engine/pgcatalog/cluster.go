package pgcatalog

import (
	"net"
	"slices"
	"strconv"

	"github.com/millracedb/millrace/sql/types"
)

// What PostgreSQL keeps once for a cluster: databases, roles, tablespaces, settings, and the few constant catalogs.

func (c *catalog) fillDatabase(t *table) {
	t.add(row{
		"oid": oid(oidDatabase), "datname": text(c.w.Database()), "datdba": oid(c.roleOIDs()(c.bootstrap())), "encoding": num(encodingUTF8), "datlocprovider": text("c"),
		"datallowconn": flag(true), "datconnlimit": num(-1), "dattablespace": oid(oidTablespace), "datcollate": text("C"), "datctype": text("C"),
	})
}

func (c *catalog) fillRoles(t *table) {
	for _, r := range c.roles() {
		t.add(row{
			"oid": oid(r.OID), "rolname": text(r.Name), "rolsuper": flag(r.Superuser), "rolinherit": flag(true), "rolcreaterole": flag(r.CreateRole),
			"rolcreatedb": flag(r.CreateDB), "rolcanlogin": flag(r.Login), "rolreplication": flag(false), "rolconnlimit": num(int64(r.ConnLimit)),
			"rolpassword": text("********"), "rolbypassrls": flag(r.Superuser), "rolvaliduntil": until(r),
		})
	}
}

func until(r Role) types.Datum {
	if r.ValidUntil == 0 {
		return types.NullDatum
	}
	return num(r.ValidUntil * 1000)
}

// fillAuthMembers fills pg_auth_members.
func (c *catalog) fillAuthMembers(t *table) {
	for _, r := range c.roles() {
		for _, of := range r.MemberOf {
			t.add(row{"roleid": oid(of), "member": oid(r.OID), "grantor": oid(oidBootstrap)})
		}
	}
}

// fillUser fills pg_user: the roles that may log in.
func (c *catalog) fillUser(t *table) {
	for _, r := range c.roles() {
		if r.Login {
			t.add(row{
				"usename": text(r.Name), "usesysid": oid(r.OID), "usecreatedb": flag(r.CreateDB), "usesuper": flag(r.Superuser), "userepl": flag(false),
				"usebypassrls": flag(r.Superuser), "passwd": text("********"),
			})
		}
	}
}

// fillGroup fills pg_group: the roles that may not log in.
func (c *catalog) fillGroup(t *table) {
	for _, r := range c.roles() {
		if r.Login {
			continue
		}
		var members []int64
		for _, m := range c.roles() {
			if slices.Contains(m.MemberOf, r.OID) {
				members = append(members, int64(m.OID))
			}
		}
		t.add(row{"groname": text(r.Name), "grosysid": oid(r.OID), "grolist": list(types.OID, members)})
	}
}

func (c *catalog) fillTablespace(t *table) {
	t.add(row{"oid": oid(oidTablespace), "spcname": text("pg_default"), "spcowner": oid(oidBootstrap)})
}

func (c *catalog) fillAm(t *table) {
	t.add(row{"oid": oid(oidHeap), "amname": text("heap"), "amtype": text("t")})
	t.add(row{"oid": oid(oidBtree), "amname": text("btree"), "amtype": text("i")})
}

func (c *catalog) fillLanguage(t *table) {
	t.add(row{"oid": oid(oidInternal), "lanname": text("internal"), "lanowner": oid(oidBootstrap)})
}

func (c *catalog) fillCollation(t *table) {
	add := func(o uint32, name, provider string, locale types.Datum) {
		t.add(row{
			"oid": oid(o), "collname": text(name), "collnamespace": oid(oidSchemaSystem), "collowner": oid(oidBootstrap), "collprovider": text(provider),
			"collisdeterministic": flag(true), "collencoding": num(-1), "collcollate": locale, "collctype": locale,
		})
	}
	add(oidDefault, "default", "d", types.NullDatum)
	add(oidC, "C", "c", text("C"))
}

// fillPrepared fills pg_prepared_statements.
func (c *catalog) fillPrepared(t *table) {
	for _, p := range c.s.Prepared() {
		params := make([]int64, len(p.Params))
		for i, typ := range p.Params {
			params[i] = int64(typ.OID())
		}
		t.add(row{
			"name": text(p.Name), "statement": text(p.Statement), "prepare_time": num(p.Micros), "parameter_types": list(types.Regtype, params),
			"from_sql": flag(p.FromSQL), "generic_plans": num(0), "custom_plans": num(0),
		})
	}
}

// fillStatGSSAPI fills pg_stat_gssapi: nobody logs in that way.
func (c *catalog) fillStatGSSAPI(t *table) {
	for _, b := range c.w.Backends() {
		t.add(row{"pid": num(int64(b.PID)), "gss_authenticated": flag(false), "encrypted": flag(false)})
	}
}

// fillSettings fills pg_settings. Types are told by the values: everything not a switch or a number is a string.
func (c *catalog) fillSettings(t *table) {
	for _, s := range c.w.Settings() {
		context, source, boot := "user", "default", s.Default
		switch {
		case s.ReadOnly:
			context, boot = "internal", s.Value
		case s.Value != s.Default:
			source = "session"
		}
		t.add(row{
			"name": text(s.Name), "setting": text(s.Value), "category": text(s.Category), "short_desc": text(s.Description), "context": text(context),
			"vartype": text(settingType(boot)), "source": text(source), "boot_val": text(boot), "reset_val": text(boot), "pending_restart": flag(false),
		})
	}
}

func settingType(value string) string {
	switch _, err := strconv.ParseInt(value, 10, 64); {
	case value == "on" || value == "off":
		return "bool"
	case err == nil:
		return "integer"
	default:
		return "string"
	}
}

// fillActivity fills pg_stat_activity with the sessions of this node. Of the others it is only known who and where they are.
func (c *catalog) fillActivity(t *table) {
	role := c.roleOIDs()
	for _, b := range c.w.Backends() {
		host, port := splitAddress(b.Address)
		cells := row{
			"datid": oid(oidDatabase), "datname": text(c.w.Database()), "pid": num(int64(b.PID)), "usesysid": oid(role(b.User)), "usename": text(b.User),
			"client_addr": host, "client_port": port, "backend_type": text("client backend"),
		}
		if b.PID == c.s.BackendPID() {
			app, _ := c.s.Setting("application_name")
			start := num(c.s.StartMicros())
			cells["application_name"], cells["state"] = text(app), text("active")
			cells["xact_start"], cells["query_start"], cells["state_change"] = start, start, start
		}
		t.add(cells)
	}
}

// splitAddress returns host and port of a client, both NULL for one without an address.
func splitAddress(address string) (host, port types.Datum) {
	h, p, err := net.SplitHostPort(address)
	if err != nil {
		return types.NullDatum, types.NullDatum
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return text(h), types.NullDatum
	}
	return text(h), num(int64(n))
}

func (c *catalog) fillStatDatabase(t *table) {
	t.add(row{"datid": oid(oidDatabase), "datname": text(c.w.Database()), "numbackends": num(int64(len(c.w.Backends())))})
}
