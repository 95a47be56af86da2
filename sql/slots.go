package sql

// Expression slots. Wherever the grammar says expression, the tokens of one expression become marks in a slot. A mark
// that TiDB's grammar can't or must not read, such as a literal, a column, a call or a subquery, is an atom: "?" in the
// lowered text, with our node beside it. Operators that MySQL has with PostgreSQL's precedence travel as they are; the
// others ride on a MySQL operator of the same class, with an atom that names them: a || b is lowered to "? | ? | ?",
// whose middle atom is ||. At the end of a statement all slots are parsed in one call, as SELECT slot, slot, ..., and the
// lift reads the marks again, in the order of the text, while it walks TiDB's tree.

// markKind says what a mark stands for. The comments give the lowered text.
type markKind uint8

const (
	markText     markKind = iota // its text; the lift passes it by: ( ) , AND WHEN THEN ELSE END
	markLeaf                     // ?             an operand, or the result of another slot
	markBinary                   // its text      an operator of both languages: BinaryOp
	markUnary                    // its text      NOT, - and +: Not, UnaryOp
	markLogic                    // AND, OR
	markParen                    // (             of a parenthesis or a row
	markIn                       // IN            In
	markBetween                  // BETWEEN       Between
	markCase                     // CASE          Case
	markInfix                    // | ? |         any other operator: BinaryOp, FuncCall for OVERLAPS
	markPrefix                   // ? |           any other prefix operator: UnaryOp
	markCaret                    // ^ ? ^         BinaryOp for ^, AtTimeZone
	markCollate                  // ^ ?           Collate
	markIs                       // <=> ?         IsTest
	markDistinct                 // <=> ? <=>     IsDistinct
	markLike                     // BETWEEN ? AND Like
	markEscape                   // BETWEEN ? AND ESCAPE of the Like before
)

// carriers are the lowered texts of the marks that have one of their own.
var carriers = [...]string{
	markLeaf: "?", markParen: "(", markIn: "IN", markBetween: "BETWEEN", markCase: "CASE",
	markInfix: "| ? |", markPrefix: "? |", markCaret: "^ ? ^", markCollate: "^ ?", markIs: "<=> ?",
	markDistinct: "<=> ? <=>", markLike: "BETWEEN ? AND", markEscape: "BETWEEN ? AND",
}

// atomOffsets are the places of "?" in carriers.
var atomOffsets = [...]int32{
	markLeaf: 0, markInfix: 2, markPrefix: 0, markCaret: 2, markCollate: 2, markIs: 4, markDistinct: 4, markLike: 8,
	markEscape: 8,
}

// mark is one piece of an expression.
type mark struct {
	kind markKind
	// pos is the place in the user's text, off that of the mark's atom, or else of the mark, in the lowered text.
	pos Pos
	off int32
	// slot is the slot whose result the leaf is when node is nil.
	slot int32
	// text is the lowered text of marks without a carrier.
	text string
	// node is the operand, or the operator's node with its operands not filled in yet.
	node Expr
}

// operand is an expression that has been parsed or will be: node, or the result of a slot when node is nil.
type operand struct {
	node Expr
	slot int32
}

// slots holds the expressions of one statement until resolve.
type slots struct {
	// marks of the slots that are being built lie on a stack; finished ones move to tape.
	building []mark
	tape     []mark
	lowered  []byte
	// targets says where the result of each slot goes; nil where only another slot uses it.
	targets []*Expr
	// operands is a stack for lists under construction.
	operands []operand
}

// Buffers larger than these are not kept for the next statement.
const (
	keptMarks   = 1 << 12
	keptLowered = 1 << 16
)

// reset forgets everything, but keeps buffers of a usual size.
func (s *slots) reset() {
	if cap(s.tape) > keptMarks || cap(s.building) > keptMarks || cap(s.operands) > keptMarks || cap(s.lowered) > keptLowered ||
		cap(s.targets) > keptMarks {
		*s = slots{}
		return
	}
	clear(s.tape[:cap(s.tape)])
	clear(s.building[:cap(s.building)])
	clear(s.targets[:cap(s.targets)])
	clear(s.operands[:cap(s.operands)])
	s.tape, s.building, s.lowered = s.tape[:0], s.building[:0], s.lowered[:0]
	s.targets, s.operands = s.targets[:0], s.operands[:0]
}

// emit adds a mark with a carrier to the slot under construction.
func (s *slots) emit(k markKind, pos Pos, node Expr) {
	s.building = append(s.building, mark{kind: k, pos: pos, node: node})
}

// emitText adds a mark that stands for its text.
func (s *slots) emitText(k markKind, pos Pos, text string, node Expr) {
	s.building = append(s.building, mark{kind: k, pos: pos, text: text, node: node})
}

// leaf adds an operand.
func (s *slots) leaf(pos Pos, o operand) {
	s.building = append(s.building, mark{kind: markLeaf, pos: pos, node: o.node, slot: o.slot})
}

// close ends the slot whose marks begin at base. A lone operand needs no slot.
func (s *slots) close(base int) operand {
	marks := s.building[base:]
	if len(marks) == 1 && marks[0].kind == markLeaf {
		o := operand{node: marks[0].node, slot: marks[0].slot}
		s.building = s.building[:base]
		return o
	}
	if len(s.lowered) == 0 {
		s.lowered = append(s.lowered, "SELECT "...)
	} else {
		s.lowered = append(s.lowered, ", "...)
	}
	for i := range marks {
		m := &marks[i]
		text := m.text
		if text == "" {
			text = carriers[m.kind]
		}
		m.off = int32(len(s.lowered))
		if hasAtom(m.kind) {
			m.off += atomOffsets[m.kind]
		}
		s.lowered = append(s.lowered, text...)
		s.lowered = append(s.lowered, ' ')
	}
	s.tape = append(s.tape, marks...)
	s.building = s.building[:base]
	s.targets = append(s.targets, nil)
	return operand{slot: int32(len(s.targets) - 1)}
}

func hasAtom(k markKind) bool { return k == markLeaf || k >= markInfix }

// fill arranges that the expression goes to dst, which must not move until resolve.
func (s *slots) fill(dst *Expr, o operand) {
	if o.node != nil {
		*dst = o.node
		return
	}
	s.targets[o.slot] = dst
}

// push keeps an operand of a list whose length is not known yet; take makes the list of those pushed since base.
func (s *slots) push(o operand) { s.operands = append(s.operands, o) }

func (s *slots) take(base int) []Expr {
	os := s.operands[base:]
	if len(os) == 0 {
		return nil
	}
	list := make([]Expr, len(os))
	for i, o := range os {
		s.fill(&list[i], o)
	}
	s.operands = s.operands[:base]
	return list
}
