package sql

import "reflect"

var posType = reflect.TypeFor[Pos]()

// Equal reports whether a and b are the same tree, positions aside. It goes by reflection: for tests and rare decisions,
// not for loops over rows.
func Equal(a, b Node) bool { return equalValues(reflect.ValueOf(a), reflect.ValueOf(b)) }

// equalValues compares the values that trees are made of; a nil slice equals an empty one.
func equalValues(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() {
		return false
	}
	if !a.IsValid() {
		return true
	}
	if a.Type() != b.Type() {
		return false
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return equalValues(a.Elem(), b.Elem())
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !equalValues(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for i := range a.NumField() {
			if a.Field(i).Type() != posType && !equalValues(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	default:
		return a.Equal(b)
	}
}
