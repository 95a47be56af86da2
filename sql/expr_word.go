package sql

import "github.com/millracedb/millrace/internal/sqlerr"

// wordOperator emits the operator at the cursor if it is a word. It reports whether there was one, and whether an operand
// follows: it does not after IS NULL, COLLATE and IN.
func (s *scanner) wordOperator() (more, operand bool) {
	pos := s.pos()
	switch {
	case s.isWord("at") && s.isWords("at", "time", "zone"):
		s.refuseTight(pos)
		s.accept("at", "time", "zone")
		s.emit(markCaret, pos, &AtTimeZone{Pos: pos})
		s.operator(arithmetic)
		return true, true
	case s.isWord("collate"):
		s.refuseTight(pos)
		s.next()
		s.emit(markCollate, pos, &Collate{Pos: pos, Collation: s.collation()})
		s.ops++
		return true, false
	case s.level >= bindArithmetic:
		return false, false
	case s.isOperatorCall():
		s.refuseTight(pos)
		s.generic(pos)
		return true, s.quantifier()
	case s.betweens > 0 && s.accept("and"):
		s.betweens--
		s.emitText(markText, pos, "AND", nil)
		s.before = comparing
		return true, true
	case s.level >= bindCompare:
		return false, false
	case s.isWord("and"), s.isWord("or"):
		return s.connective(pos)
	}
	return s.predicate(pos)
}

// connective emits AND and OR.
func (s *scanner) connective(pos Pos) (more, operand bool) {
	if s.level >= bindTest {
		return false, false
	}
	if s.betweens > 0 {
		s.unexpected()
	}
	text := "OR"
	if s.accept("and") {
		text = "AND"
	} else {
		s.next()
	}
	s.emitText(markLogic, pos, text, nil)
	s.operator(loose)
	s.escape = false
	s.endRun()
	if s.logic++; s.logic > maxLogic {
		s.failAt(pos, sqlerr.StatementTooComplex, "expression has more than %d conditions joined by AND and OR", maxLogic)
	}
	return true, true
}

// predicate emits IS, IN, LIKE, BETWEEN and their kin.
func (s *scanner) predicate(pos Pos) (more, operand bool) {
	switch {
	case s.isWord("is"):
		return s.is(pos)
	case s.accept("isnull"):
		s.test(pos, IsNull, false)
		return true, false
	case s.accept("notnull"):
		s.test(pos, IsNull, true)
		return true, false
	case s.isWord("overlaps"):
		s.refuseTight(pos)
		s.next()
		s.emit(markInfix, pos, &FuncCall{Pos: pos, Name: "overlaps"})
		s.operator(comparing)
		return true, true
	case s.escape && s.accept("escape"):
		s.emit(markEscape, pos, nil)
		s.operator(comparing)
		s.escape = false
		return true, true
	}
	not := 0
	if s.isWord("not") {
		not = 1
	}
	t := s.peek(not)
	switch {
	case t.isWord(s.src, "in"):
		s.i += not + 1
		s.in(pos, not == 1)
		return true, false
	case t.isWord(s.src, "between"):
		s.i += not + 1
		s.betweenOp(pos, not == 1)
		return true, true
	case t.isWord(s.src, "like"):
		s.i += not + 1
		return true, s.likeOp(pos, LikePattern, not == 1)
	case t.isWord(s.src, "ilike"):
		s.i += not + 1
		return true, s.likeOp(pos, ILikePattern, not == 1)
	case t.isWord(s.src, "similar") && s.peek(not+1).isWord(s.src, "to"):
		s.i += not + 2
		return true, s.likeOp(pos, SimilarTo, not == 1)
	}
	return false, false
}

// is emits IS [NOT] NULL|TRUE|FALSE|UNKNOWN|DISTINCT FROM.
func (s *scanner) is(pos Pos) (more, operand bool) {
	s.next()
	not := s.accept("not")
	switch {
	case s.accept("null"):
		s.test(pos, IsNull, not)
	case s.accept("true"):
		s.test(pos, IsTrue, not)
	case s.accept("false"):
		s.test(pos, IsFalse, not)
	case s.accept("unknown"):
		s.test(pos, IsUnknown, not)
	case s.isWord("distinct"):
		s.expect("distinct", "from")
		s.emit(markDistinct, pos, &IsDistinct{Pos: pos, Not: not})
		s.operator(comparing)
		s.escape = false
		return true, true
	default:
		s.unexpected()
		return false, false
	}
	return true, false
}

func (s *scanner) test(pos Pos, kind IsKind, not bool) {
	s.emit(markIs, pos, &IsTest{Pos: pos, Kind: kind, Not: not})
	s.ops++
	s.escape, s.tested = false, true
}

// in emits IN (list) or IN (query).
func (s *scanner) in(pos Pos, not bool) {
	s.refuseTight(pos)
	s.emit(markIn, pos, &In{Pos: pos, Not: not})
	s.ops++
	s.escape, s.tested = false, true
	s.emitText(markText, s.pos(), "(", nil)
	if !s.startsQuery(s.i) {
		s.expectPunct("(")
		s.members()
		return
	}
	q := &queryOperand{Pos: s.pos()}
	s.measured(func() { q.query = s.parenQuery() })
	s.leafIfOK(q.Pos, operand{node: q})
	s.emitText(markText, s.pos(), ")", nil)
}

// betweenOp emits BETWEEN [SYMMETRIC]; its AND is emitted when it comes.
func (s *scanner) betweenOp(pos Pos, not bool) {
	s.refuseTight(pos)
	symmetric := s.accept("symmetric")
	if !symmetric {
		s.accept("asymmetric")
	}
	s.emit(markBetween, pos, &Between{Pos: pos, Not: not, Symmetric: symmetric})
	s.operator(comparing)
	s.escape = false
	s.betweens++
}

var likeOperators = map[LikeKind]string{LikePattern: "~~", ILikePattern: "~~*"}

// likeOp emits LIKE, or the operator behind it before ANY and ALL; it reports whether an operand follows.
func (s *scanner) likeOp(pos Pos, kind LikeKind, not bool) bool {
	s.refuseTight(pos)
	if _, ok := s.isOneOf("any", "some", "all"); ok && kind != SimilarTo {
		op := likeOperators[kind]
		if not {
			op = "!" + op
		}
		s.emit(markInfix, pos, &BinaryOp{Pos: pos, Op: op})
		s.operator(comparing)
		return s.quantifier()
	}
	s.emit(markLike, pos, &Like{Pos: pos, Kind: kind, Not: not})
	s.operator(comparing)
	s.escape = true
	return true
}
