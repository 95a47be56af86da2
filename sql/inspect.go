package sql

import "reflect"

// Inspect calls f with a tree's nodes, parents first. Like Equal it goes by reflection: for rare decisions.
func Inspect(n Node, f func(Node)) { inspect(reflect.ValueOf(n), f) }

func inspect(v reflect.Value, f func(Node)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		if n, ok := v.Interface().(Node); ok && v.Kind() == reflect.Pointer {
			f(n)
		}
		inspect(v.Elem(), f)
	case reflect.Slice:
		for i := range v.Len() {
			inspect(v.Index(i), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Field(i).Type() != posType {
				inspect(v.Field(i), f)
			}
		}
	}
}
