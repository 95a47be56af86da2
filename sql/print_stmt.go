package sql

import "strconv"

// statement writes any statement.
func (p *printer) statement(s Statement) {
	switch s := s.(type) {
	case *Query:
		p.query(s)
	case *Insert:
		p.insert(s)
	case *Update:
		p.update(s)
	case *Delete:
		p.delete(s)
	case *Copy:
		p.copy(s)
	case *Prepare:
		p.w("PREPARE ")
		p.ident(s.Name)
		if len(s.Types) > 0 {
			p.w(" (")
			p.each(len(s.Types), ", ", func(i int) { p.typeName(s.Types[i]) })
			p.w(")")
		}
		p.w(" AS ")
		p.statement(s.Statement)
	case *Explain:
		p.explain(s)
	default:
		if !p.definition(s) && !p.session(s) {
			p.lookingAround(s)
		}
	}
}

// definition writes DDL; it reports false for other statements.
func (p *printer) definition(s Statement) bool {
	switch s := s.(type) {
	case *CreateRelation:
		p.createRelation(s)
	case *CreateType:
		p.createType(s)
	case *CreateIndex:
		p.createIndex(s)
	case *CreateSchema:
		p.w("CREATE SCHEMA ")
		p.flag(s.IfNotExists, "IF NOT EXISTS ")
		p.ident(s.Name)
		if s.Owner != "" {
			p.w(" AUTHORIZATION ")
			p.ident(s.Owner)
		}
	case *CreateDatabase:
		p.createDatabase(s)
	case *CreateRole:
		p.createRole(s)
	case *CreateSequence:
		p.createSequence(s)
	case *Alter:
		p.alter(s)
	case *AlterNode:
		p.alterNode(s)
	case *AlterSystem:
		p.w("ALTER SYSTEM ")
		if s.Set != nil {
			p.set(s.Set)
		} else {
			p.session(s.Reset)
		}
	case *Drop:
		p.drop(s)
	case *Comment:
		p.comment(s)
	case *Grant:
		p.grant(s)
	case *Truncate:
		p.w("TRUNCATE TABLE ")
		p.names(s.Names)
		p.flag(s.RestartIdentity, " RESTART IDENTITY")
		p.flag(s.Cascade, " CASCADE")
	case *Refresh:
		p.w("REFRESH MATERIALIZED VIEW ")
		p.flag(s.Concurrently, "CONCURRENTLY ")
		p.name(s.Name)
		p.flag(s.NoData, " WITH NO DATA")
	default:
		return false
	}
	return true
}

func (p *printer) insert(s *Insert) {
	p.with(s.With)
	p.w("INSERT INTO ")
	p.name(s.Table)
	if s.Alias != "" {
		p.w(" AS ")
		p.ident(s.Alias)
	}
	p.options(" WITH ", s.Options)
	p.identList(" ", s.Columns)
	p.flag(s.Overriding != "", " OVERRIDING "+s.Overriding+" VALUE")
	if s.Query != nil {
		p.w(" ")
		p.query(s.Query)
	} else {
		p.w(" DEFAULT VALUES")
	}
	if c := s.OnConflict; c != nil {
		p.w(" ON CONFLICT")
		p.identList(" ", c.Columns)
		p.clause(" WHERE ", c.TargetWhere)
		if c.Constraint != "" {
			p.w(" ON CONSTRAINT ")
			p.ident(c.Constraint)
		}
		if len(c.Set) == 0 {
			p.w(" DO NOTHING")
		} else {
			p.w(" DO UPDATE SET ")
			p.assignments(c.Set)
			p.clause(" WHERE ", c.Where)
		}
	}
	p.targets(" RETURNING ", s.Returning)
}

func (p *printer) assignments(as []*Assignment) {
	p.each(len(as), ", ", func(i int) {
		if as[i].Tuple {
			p.identList("", as[i].Columns)
		} else {
			p.ident(as[i].Columns[0])
		}
		p.w(" = ")
		p.expr(as[i].Value, precLowest)
	})
}

func (p *printer) update(s *Update) {
	p.with(s.With)
	p.w("UPDATE ")
	p.table(s.Table)
	p.w(" SET ")
	p.assignments(s.Set)
	p.from(" FROM ", s.From)
	p.where(s.Where, s.CurrentOf)
	p.targets(" RETURNING ", s.Returning)
}

func (p *printer) delete(s *Delete) {
	p.with(s.With)
	p.w("DELETE FROM ")
	p.table(s.Table)
	p.from(" USING ", s.Using)
	p.where(s.Where, s.CurrentOf)
	p.targets(" RETURNING ", s.Returning)
}

func (p *printer) where(e Expr, cursor string) {
	p.clause(" WHERE ", e)
	if cursor != "" {
		p.w(" WHERE CURRENT OF ")
		p.ident(cursor)
	}
}

func (p *printer) copy(s *Copy) {
	p.w("COPY ")
	if s.Statement != nil {
		p.w("(")
		p.statement(s.Statement)
		p.w(")")
	} else {
		p.name(s.Table)
		p.identList(" ", s.Columns)
	}
	if s.From {
		p.w(" FROM ")
	} else {
		p.w(" TO ")
	}
	switch {
	case s.Target == CopyProgram:
		p.w("PROGRAM ")
		p.str(s.Path)
	case s.Target == CopyFile:
		p.str(s.Path)
	case s.From:
		p.w("STDIN")
	default:
		p.w("STDOUT")
	}
	p.copyOptions(s.Options)
	p.clause(" WHERE ", s.Where)
}

// copyOptions writes COPY's and EXPLAIN's lists, which have no = between name and value.
func (p *printer) copyOptions(os []*Option) {
	if len(os) == 0 {
		return
	}
	p.w(" (")
	p.each(len(os), ", ", func(i int) {
		o := os[i]
		p.optionName(o.Name)
		switch {
		case len(o.List) == 1 && o.List[0] == "*":
			p.w(" *")
		case o.List != nil:
			p.identList(" ", o.List)
		case o.Value != nil:
			p.w(" ")
			p.literal(o.Value)
		}
	})
	p.w(")")
}

func (p *printer) explain(s *Explain) {
	p.w("EXPLAIN")
	p.copyOptions(s.Options)
	p.w(" ")
	if s.Statement != nil {
		p.statement(s.Statement)
		return
	}
	p.w("QUERY ")
	p.str(s.QueryID)
}

// session writes statements about cursors, transactions and settings; it reports false for others.
func (p *printer) session(s Statement) bool {
	switch s := s.(type) {
	case *Execute:
		p.w("EXECUTE ")
		p.ident(s.Name)
		if len(s.Args) > 0 {
			p.w(" (")
			p.exprs(s.Args)
			p.w(")")
		}
	case *Deallocate:
		p.nameOrAll("DEALLOCATE ", s.Name)
	case *DeclareCursor:
		p.declare(s)
	case *Fetch:
		p.fetch(s)
	case *CloseCursor:
		p.nameOrAll("CLOSE ", s.Name)
	case *Transaction:
		p.transaction(s)
	case *SetTransaction:
		if s.Session {
			p.w("SET SESSION CHARACTERISTICS AS TRANSACTION")
		} else {
			p.w("SET TRANSACTION")
		}
		if s.Snapshot != "" {
			p.w(" SNAPSHOT ")
			p.str(s.Snapshot)
		}
		p.modes(s.Modes)
	case *Set:
		p.set(s)
	case *SetConstraints:
		p.w("SET CONSTRAINTS ")
		p.flag(s.Names == nil, "ALL")
		p.names(s.Names)
		p.flag(s.Deferred, " DEFERRED")
		p.flag(!s.Deferred, " IMMEDIATE")
	case *Reset:
		p.w("RESET ")
		if s.Name == "" {
			p.w("ALL")
		} else {
			p.setting(s.Name)
		}
	case *Discard:
		p.w("DISCARD ", s.What)
	default:
		return false
	}
	return true
}

func (p *printer) nameOrAll(words, name string) {
	p.w(words)
	if name == "" {
		p.w("ALL")
	} else {
		p.ident(name)
	}
}

func (p *printer) declare(s *DeclareCursor) {
	p.w("DECLARE ")
	p.ident(s.Name)
	p.flag(s.Binary, " BINARY")
	p.flag(s.Insensitive, " INSENSITIVE")
	p.flag(s.Scroll == Yes, " SCROLL")
	p.flag(s.Scroll == No, " NO SCROLL")
	p.w(" CURSOR")
	p.flag(s.Hold, " WITH HOLD")
	p.w(" FOR ")
	p.query(s.Query)
}

func (p *printer) fetch(s *Fetch) {
	if s.Move {
		p.w("MOVE ")
	} else {
		p.w("FETCH ")
	}
	p.w([...]string{
		FetchForward: "FORWARD ", FetchBackward: "BACKWARD ", FetchAbsolute: "ABSOLUTE ", FetchRelative: "RELATIVE ",
		FetchFirst: "FIRST ", FetchLast: "LAST ",
	}[s.Direction])
	switch {
	case s.Direction == FetchFirst, s.Direction == FetchLast:
	case s.All:
		p.w("ALL ")
	default:
		p.int(s.Count)
		p.w(" ")
	}
	p.w("FROM ")
	p.ident(s.Cursor)
	p.options(" WITH ", s.Options)
}

func (p *printer) transaction(s *Transaction) {
	p.w([...]string{
		Begin: "BEGIN", Commit: "COMMIT", Rollback: "ROLLBACK", Savepoint: "SAVEPOINT ", ReleaseSavepoint: "RELEASE SAVEPOINT ",
		RollbackTo: "ROLLBACK TO SAVEPOINT ", PrepareTransaction: "PREPARE TRANSACTION ", CommitPrepared: "COMMIT PREPARED ",
		RollbackPrepared: "ROLLBACK PREPARED ",
	}[s.Kind])
	switch s.Kind {
	case Savepoint, ReleaseSavepoint, RollbackTo:
		p.ident(s.Name)
	case PrepareTransaction, CommitPrepared, RollbackPrepared:
		p.str(s.Name)
	}
	p.modes(s.Modes)
	p.flag(s.Chain, " AND CHAIN")
}

func (p *printer) modes(m TransactionModes) {
	sep := " "
	mode := func(is bool, words string) {
		if is {
			p.w(sep, words)
			sep = ", "
		}
	}
	mode(m.Isolation != "", "ISOLATION LEVEL "+m.Isolation)
	mode(m.ReadOnly == Yes, "READ ONLY")
	mode(m.ReadOnly == No, "READ WRITE")
	mode(m.Deferrable == Yes, "DEFERRABLE")
	mode(m.Deferrable == No, "NOT DEFERRABLE")
}

// setting writes the dotted name of a setting.
func (p *printer) setting(name string) { p.optionName(name) }

func (p *printer) set(s *Set) {
	p.w("SET ")
	p.flag(s.Local, "LOCAL ")
	if s.Interval != nil {
		p.w("TIME ZONE ")
		p.atom(s.Interval)
		return
	}
	p.setting(s.Name)
	p.w(" TO ")
	p.flag(s.Default, "DEFAULT")
	p.each(len(s.Values), ", ", func(i int) { p.literal(s.Values[i]) })
}

// lookingAround writes the statements that show things, and what is left.
func (p *printer) lookingAround(s Statement) {
	switch s := s.(type) {
	case *Show:
		p.w("SHOW ")
		if shownObjects[s.Name] || s.Name == "create" { // SHOW 'users' is a setting
			p.str(s.Name)
		} else {
			p.setting(s.Name)
		}
	case *ShowObjects:
		p.w("SHOW ")
		p.flag(s.All, "ALL ")
		p.w(s.What)
		if s.From != nil {
			p.w(" FROM ")
			p.name(s.From)
		}
		if s.Like != "" {
			p.w(" LIKE ")
			p.str(s.Like)
		}
		p.flag(s.Extended, " EXTENDED")
	case *ShowCreate:
		p.w("SHOW CREATE ")
		p.flag(s.Kind != "", string(s.Kind)+" ")
		p.name(s.Name)
	case *Describe:
		p.w("DESCRIBE ")
		p.flag(s.Kind != "", string(s.Kind)+" ")
		p.name(s.Name)
		p.flag(s.Extended, " EXTENDED")
	case *Print:
		p.w("PRINT ")
		p.str(s.Topic)
		p.flag(s.FromBeginning, " FROM BEGINNING")
		if s.Interval != 0 {
			p.w(" INTERVAL ", strconv.FormatInt(s.Interval, 10))
		}
		if s.Limit >= 0 {
			p.w(" LIMIT ", strconv.FormatInt(s.Limit, 10))
		}
	case *QueryControl:
		p.w(s.Action)
		if s.ID == "" {
			p.w(" ALL")
		} else {
			p.w(" QUERY ")
			p.str(s.ID)
		}
	default:
		p.service(s)
	}
}

// service writes LISTEN and its kin, LOCK and maintenance.
func (p *printer) service(s Statement) {
	switch s := s.(type) {
	case *Listen:
		p.w("LISTEN ")
		p.ident(s.Channel)
	case *Unlisten:
		p.w("UNLISTEN ")
		if s.Channel == "" {
			p.w("*")
		} else {
			p.ident(s.Channel)
		}
	case *Notify:
		p.w("NOTIFY ")
		p.ident(s.Channel)
		if s.Payload != "" {
			p.w(", ")
			p.str(s.Payload)
		}
	case *LockTable:
		p.w("LOCK TABLE ")
		p.names(s.Names)
		p.w(" IN ", s.Mode, " MODE")
		p.flag(s.NoWait, " NOWAIT")
	case *Maintenance:
		p.w(s.Command)
		p.copyOptions(s.Options)
		if len(s.Tables) > 0 {
			p.w(" ")
			p.names(s.Tables)
		}
	}
}
