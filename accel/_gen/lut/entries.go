package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
)

// entrySize is how many bytes an integer partial sum has in a table: two hold it exactly, one
// holds it rounded.
type entrySize int

const (
	oneByte  entrySize = 1
	twoBytes entrySize = 2
)

// precision returns the name that package lut gives to activations of this size.
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

const sumsSignature = "func(dst []int32, codes, tables []byte, chunks int)"

// sums begins the function that sums over this number of planes.
func (s entrySize) sums(planes int, suffix string) {
	TEXT(fmt.Sprintf("%sSums%d%s", s.precision(), planes, suffix), NOSPLIT, sumsSignature)
	Pragma("noescape")
}
