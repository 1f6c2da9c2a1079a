package main

import (
	"bytes"
	"fmt"
)

// integerTile writes a function of the type integerTile in accel/kernels/matmul. A vector of B is
// eight columns, whose pairs are loaded apart: the first numbers into V0, the second into V1. The
// sums of a row are in two registers of V16 to V31.
type integerTile struct {
	to   *bytes.Buffer
	rows int
}

const (
	integerLanes     = 8
	firstElement     = 2 // the first register of the pairs of A
	firstIntegerSum  = 16
	integerSignature = "(c []int32, ldc int, a []int16, rowStride int, b []int16, depth int, last int)"
)

func (t integerTile) name() string { return fmt.Sprintf("integerTile%dx%dNEON", t.rows, integerLanes) }

func (t integerTile) emit(format string, arguments ...any) {
	fmt.Fprintf(t.to, "\t"+format+"\n", arguments...)
}

// multiplyAdd adds four columns times number index of a pair to sums. Go's assembler does not
// know SMLAL and SMLAL2 by element, which take the lower and the upper four.
func (t integerTile) multiplyAdd(upper bool, sum, columns, pair, index int) {
	word := 0x0F402000 | index<<20 | pair<<16 | columns<<5 | sum
	name := "SMLAL"
	if upper {
		word, name = word|1<<30, "SMLAL2"
	}
	t.emit("WORD $0x%08X // %s V%d.S4, V%d, V%d.H[%d]", word, name, sum, columns, pair, index)
}

func (t integerTile) write() {
	fmt.Fprintf(t.to, "\n// func %s%s\n", t.name(), integerSignature)
	fmt.Fprintf(t.to, "TEXT ·%s(SB), NOSPLIT, $0-104\n", t.name())
	for _, argument := range []struct {
		name     string
		at       int
		register string
	}{
		{"c_base", 0, c}, {"ldc", 24, ldc}, {"a_base", 32, a}, {"rowStride", 56, rowStride},
		{"b_base", 64, b}, {"depth", 88, depth}, {"last", 96, last},
	} {
		t.emit("MOVD %s+%d(FP), %s", argument.name, argument.at, argument.register)
	}
	for _, stride := range []string{ldc, rowStride} {
		t.emit("LSL $2, %s, %s", stride, stride)
	}
	t.emit("MOVD $4, %s", nextStep)
	for row := range t.rows {
		if row == 0 {
			t.emit("MOVD %s, R%d", a, firstRow)
		} else {
			t.emit("ADD %s, R%d, R%d", rowStride, firstRow+row-1, firstRow+row)
		}
		for half := range 2 {
			sum := firstIntegerSum + 2*row + half
			t.emit("VEOR V%d.B16, V%d.B16, V%d.B16", sum, sum, sum)
		}
	}

	fmt.Fprintln(t.to, "step:")
	t.emit("VLD2.P 32(%s), [V0.H8, V1.H8]", b)
	for row := range t.rows {
		pair := firstElement + row
		t.emit("VLD1R.P (R%d)(%s), [V%d.S4]", firstRow+row, nextStep, pair)
		for index := range 2 {
			for half := range 2 {
				t.multiplyAdd(half == 1, firstIntegerSum+2*row+half, index, pair, index)
			}
		}
	}
	t.emit("SUBS $1, %s, %s", depth, depth)
	t.emit("BNE step")

	for row := range t.rows {
		t.emit("MOVD %s, %s", c, at)
		t.store(row)
		if row < t.rows-1 {
			t.emit("ADD %s, %s, %s", ldc, c, c)
		}
	}
	t.emit("RET")
}

// store writes the first sums of a row, as many as the argument last says.
func (t integerTile) store(row int) {
	sum := firstIntegerSum + 2*row
	t.emit("CMP $%d, %s", integerLanes, last)
	t.emit("BNE row%dpart", row)
	t.emit("VST1 [V%d.S4, V%d.S4], (%s)", sum, sum+1, at)
	t.emit("B row%ddone", row)
	fmt.Fprintf(t.to, "row%dpart:\n", row)
	for lane := range integerLanes - 1 {
		if lane > 0 {
			t.emit("CMP $%d, %s", lane, last)
			t.emit("BEQ row%ddone", row)
		}
		t.emit("VMOV V%d.S[%d], %s", sum+lane/4, lane%4, element)
		t.emit("MOVW.P %s, 4(%s)", element, at)
	}
	fmt.Fprintf(t.to, "row%ddone:\n", row)
}
