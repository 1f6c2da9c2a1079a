package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
)

// entrySize is the bytes of a partial sum in a table of whole numbers: two hold
// the sum, one holds it rounded.
type entrySize int

const (
	oneByte  entrySize = 1
	twoBytes entrySize = 2
)

// precision is the name that the package has for the activations of the size.
func (s entrySize) precision() string {
	if s == oneByte {
		return "int8"
	}
	return "int14"
}

// tables begins the function that makes tables.
func (s entrySize) tables(suffix string) {
	signature := "func(tables []byte, q []int16)"
	if s == oneByte {
		signature = "func(tables []byte, q []int16, multiplier int16)"
	}
	TEXT(s.precision()+"Tables"+suffix, NOSPLIT, signature)
	Pragma("noescape")
}

// sums begins the function that sums over planes.
func (s entrySize) sums(planes int, suffix string) {
	TEXT(fmt.Sprintf("%sSums%d%s", s.precision(), planes, suffix), NOSPLIT, "func(dst []int32, codes, tables []byte, chunks int)")
	Pragma("noescape")
}
