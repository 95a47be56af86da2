package sql

// withOptions parses WITH ( name = value, .. ).
func (p *parser) withOptions() []*Option {
	p.expect("with")
	return p.optionList()
}

// optionList parses ( name [=] value, .. ); names may be words, quoted or strings.
func (p *parser) optionList() []*Option {
	var out []*Option
	p.inParens(func() {
		o := &Option{Pos: p.pos(), Name: p.optionName()}
		p.acceptPunct("=")
		if !p.isPunct(",") && !p.isPunct(")") {
			o.Value = p.optionValue()
		}
		out = append(out, o)
	})
	return out
}

// optionName takes a possibly dotted name, lower case in every form, since ksqlDB writes KAFKA_TOPIC and 'kafka.topic'.
func (p *parser) optionName() string {
	if p.isString() {
		return foldLower(p.stringLit())
	}
	name := p.lowerLabel()
	for p.acceptPunct(".") {
		name += "." + p.lowerLabel()
	}
	return foldLower(name)
}

// optionValue takes a number with or without sign, a string, TRUE, FALSE, NULL, or a bare word, which is a string.
func (p *parser) optionValue() *Literal {
	l := &Literal{Pos: p.pos()}
	sign := ""
	if p.isPunct("-") || p.isPunct("+") {
		if p.next().ch == '-' {
			sign = "-"
		}
		if k := p.tok().kind; k != tokInteger && k != tokDecimal {
			p.unexpected()
			return l
		}
	}
	switch t := p.tok(); {
	case t.kind == tokInteger || t.kind == tokDecimal:
		l.Kind = IntegerLiteral
		if t.kind == tokDecimal {
			l.Kind = DecimalLiteral
		}
		l.Text = sign + p.next().text(p.src)
	case p.isString():
		l.Kind, l.Text = StringLiteral, p.stringLit()
	case p.accept("true"):
		l.Kind, l.Text = BoolLiteral, "true"
	case p.accept("false"):
		l.Kind, l.Text = BoolLiteral, "false"
	case p.accept("null"):
		l.Kind = NullLiteral
	default:
		l.Kind, l.Text = StringLiteral, p.lowerLabel()
	}
	return l
}

// numberOption takes a number with or without sign.
func (p *parser) numberOption() *Literal {
	l := p.optionValue()
	if l.Kind != IntegerLiteral && l.Kind != DecimalLiteral {
		p.unexpectedAt(l.Pos)
	}
	return l
}

// addOption appends an option without a value of its own.
func addOption(list []*Option, pos Pos, name string, v *Literal) []*Option {
	return append(list, &Option{Pos: pos, Name: name, Value: v})
}

// stringOption is a literal that the grammar implies.
func stringOption(pos Pos, text string) *Literal {
	return &Literal{Pos: pos, Kind: StringLiteral, Text: text}
}

// sequenceOptions parses the options of CREATE and ALTER SEQUENCE.
func (p *parser) sequenceOptions() []*Option {
	var out []*Option
	for p.err == nil {
		pos := p.pos()
		switch {
		case p.accept("as"):
			out = addOption(out, pos, "as", stringOption(pos, p.lowerLabel()))
		case p.accept("increment"):
			p.accept("by")
			out = addOption(out, pos, "increment", p.numberOption())
		case p.accept("minvalue"):
			out = addOption(out, pos, "minvalue", p.numberOption())
		case p.accept("maxvalue"):
			out = addOption(out, pos, "maxvalue", p.numberOption())
		case p.accept("no", "minvalue"):
			out = addOption(out, pos, "no minvalue", nil)
		case p.accept("no", "maxvalue"):
			out = addOption(out, pos, "no maxvalue", nil)
		case p.accept("start"):
			p.accept("with")
			out = addOption(out, pos, "start", p.numberOption())
		case p.accept("restart"):
			out = addOption(out, pos, "restart", nil)
			if p.accept("with") || p.tok().kind == tokInteger || p.isPunct("-") {
				out[len(out)-1].Value = p.numberOption()
			}
		case p.accept("cache"):
			out = addOption(out, pos, "cache", p.numberOption())
		case p.accept("cycle"):
			out = addOption(out, pos, "cycle", nil)
		case p.accept("no", "cycle"):
			out = addOption(out, pos, "no cycle", nil)
		case p.accept("sequence", "name"):
			out = addOption(out, pos, "sequence name", nil)
			out[len(out)-1].List = p.qualifiedName().Parts
		case p.accept("owned", "by"):
			out = addOption(out, pos, "owned by", nil)
			out[len(out)-1].List = p.anyName().Parts
		default:
			return out
		}
	}
	return out
}

// roleFlags are the options of roles without a value.
var roleFlags = []string{
	"superuser", "nosuperuser", "createdb", "nocreatedb", "createrole", "nocreaterole", "inherit", "noinherit", "login",
	"nologin", "replication", "noreplication", "bypassrls", "nobypassrls",
}

// roleOptions parses the options of CREATE and ALTER ROLE.
func (p *parser) roleOptions() []*Option {
	var out []*Option
	for p.err == nil {
		pos := p.pos()
		if w, ok := p.acceptOneOf(roleFlags...); ok {
			out = addOption(out, pos, w, nil)
			continue
		}
		p.accept("encrypted")
		switch {
		case p.accept("password", "null"):
			out = addOption(out, pos, "password", nil)
		case p.accept("password"):
			out = addOption(out, pos, "password", stringOption(pos, p.stringLit()))
		case p.accept("connection", "limit"):
			out = addOption(out, pos, "connection limit", p.numberOption())
		case p.accept("valid", "until"):
			out = addOption(out, pos, "valid until", stringOption(pos, p.stringLit()))
		case p.accept("in", "role"), p.accept("in", "group"):
			out = append(out, &Option{Pos: pos, Name: "in role", List: p.roleNames()})
		case p.accept("role"), p.isWord("user") && p.accept("user"):
			out = append(out, &Option{Pos: pos, Name: "role", List: p.roleNames()})
		case p.accept("admin"):
			out = append(out, &Option{Pos: pos, Name: "admin", List: p.roleNames()})
		default:
			return out
		}
	}
	return out
}

// roleName takes the name of a role; CURRENT_USER, CURRENT_ROLE and SESSION_USER are names of themselves.
func (p *parser) roleName() string {
	if w, ok := p.acceptOneOf("current_user", "current_role", "session_user"); ok {
		return w
	}
	return p.name()
}

func (p *parser) roleNames() []string {
	var out []string
	p.list(func() { out = append(out, p.roleName()) })
	return out
}
