package sql

import "strings"

func (p *parser) grant(pos Pos) Statement {
	g := &Grant{Pos: pos}
	p.privileges(g)
	p.expect("to")
	p.grantees(g)
	if p.accept("with") {
		if _, ok := p.acceptOneOf("grant", "admin"); !ok {
			p.unexpected()
		}
		p.expect("option")
		g.WithOption = true
	}
	return g
}

func (p *parser) revoke(pos Pos) Statement {
	g := &Grant{Pos: pos, Revoke: true}
	g.OptionOnly = p.accept("grant", "option", "for") || p.accept("admin", "option", "for")
	p.privileges(g)
	p.expect("from")
	p.grantees(g)
	g.Cascade = p.cascade()
	return g
}

// privileges parses the privileges and the objects, or the roles.
func (p *parser) privileges(g *Grant) {
	if p.accept("all") {
		p.accept("privileges")
		g.Privileges = []*Privilege{{Pos: g.Pos, Name: "ALL"}}
		if p.isPunct("(") {
			g.Privileges[0].Columns = p.nameList()
		}
	} else {
		p.list(func() {
			v := &Privilege{Pos: p.pos(), Name: p.label()}
			if p.isPunct("(") {
				v.Columns = p.nameList()
			}
			g.Privileges = append(g.Privileges, v)
		})
	}
	if !p.accept("on") {
		return
	}
	for _, v := range g.Privileges {
		v.Name = strings.ToUpper(v.Name)
	}
	p.grantObjects(g)
}

// allKinds are the plurals of ALL .. IN SCHEMA.
var allKinds = map[string]ObjectKind{
	"tables": KindTable, "streams": KindStream, "sequences": KindSequence, "functions": KindFunction,
}

func (p *parser) grantObjects(g *Grant) {
	if p.accept("all") {
		w, ok := p.acceptOneOf("tables", "streams", "sequences", "functions")
		if !ok {
			p.unexpected()
		}
		p.expect("in", "schema")
		g.Kind, g.AllInSchema = allKinds[w], true
	} else if g.Kind = p.objectKind(); g.Kind == "" {
		g.Kind = KindTable
	}
	g.Objects = p.qualifiedNames()
}

func (p *parser) grantees(g *Grant) {
	p.list(func() {
		p.accept("group")
		g.Grantees = append(g.Grantees, p.roleName())
	})
}
