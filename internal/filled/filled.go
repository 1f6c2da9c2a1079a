// Package filled makes test values in which every field is set and no two fields are equal. A
// conversion that forgets a field or swaps two then fails its test.
package filled

import (
	"fmt"
	"reflect"
)

// New returns a T with every exported field set: slices and maps have three elements, and
// pointers point to values that are set.
func New[T any]() T {
	var value T
	next := 0
	set(reflect.ValueOf(&value).Elem(), &next)
	return value
}

func set(v reflect.Value, next *int) {
	const length = 3
	*next++
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*next))
	case reflect.Uint8, reflect.Uint16, reflect.Uint64:
		v.SetUint(uint64(*next % 256))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(*next) + 0.5)
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *next))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		set(v.Elem(), next)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), length, length))
		for i := range length {
			set(v.Index(i), next)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range length {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			set(key, next)
			set(value, next)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			set(field, next)
		}
	default:
		panic(fmt.Sprintf("filled: no value for %s", v.Type()))
	}
}
