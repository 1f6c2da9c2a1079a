package emit

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Constant is a number of four or eight bytes. On amd64 it is in read-only memory, repeated to
// the width of an AVX2 register; AVX-512 instructions broadcast its first element.
type Constant struct {
	pattern uint64
	bytes   int
}

// Float returns the constant of value v in float32.
func Float(v float64) Constant { return Bits(math.Float32bits(float32(v))) }

// Bits returns the constant of four bytes with this pattern.
func Bits(pattern uint32) Constant { return Constant{uint64(pattern), 4} }

// Word returns the constant of eight bytes with this pattern.
func Word(pattern uint64) Constant { return Constant{pattern, 8} }

// Asm makes a Constant an operand.
func (c Constant) Asm() string { return fmt.Sprintf("$%#x", c.pattern) }

// Mem returns the address of the constant.
func (c Constant) Mem() operand.Mem {
	if c.bytes == 8 {
		return Table(fmt.Sprintf("words%016x", c.pattern), slices.Repeat([]operand.U64{operand.U64(c.pattern)}, 4))
	}
	return Table(fmt.Sprintf("lanes%08x", c.pattern), slices.Repeat([]operand.U32{operand.U32(c.pattern)}, 8))
}

// Constant returns a new vector with c in every lane.
func (m Machine) Constant(c Constant) VecVirtual {
	if !m.neon() {
		return m.Spread(c.Mem())
	}
	v := m.Vector()
	ARM("mov", v, constantARM(c))
	return v
}

// Fixed returns a vector with b, which is a vector or a Constant, and which must not be
// changed.
func (m Machine) Fixed(b operand.Op) VecVirtual {
	if c, ok := b.(Constant); ok {
		return constantARM(c)
	}
	return b.(VecVirtual)
}

// tailWindow is eight lanes of ones followed by eight of zeros. The eight lanes that begin at
// lane 8−n are the mask of the first n lanes.
func tailWindow() operand.Mem {
	return Table("tailWindow", slices.Concat(
		slices.Repeat([]operand.U32{math.MaxUint32}, 8), slices.Repeat([]operand.U32{0}, 8)))
}

// tables has the tables that are already in the file being written.
var tables = map[string]operand.Mem{}

// Table puts elements into read-only memory and returns their address. Each name is written
// once.
func Table[C operand.Constant](name string, elements []C) operand.Mem {
	at, written := tables[name]
	if !written {
		at = GLOBL(name, RODATA|NOPTR)
		for i, word := range words(elements) {
			DATA(8*i, word)
		}
		tables[name] = at
	}
	return at
}

// words packs elements, which are whole numbers, into as few words of 64 bits.
func words[C operand.Constant](elements []C) []operand.U64 {
	var bytes []byte
	for _, element := range elements {
		switch e := any(element).(type) {
		case operand.U16:
			bytes = binary.LittleEndian.AppendUint16(bytes, uint16(e))
		case operand.U32:
			bytes = binary.LittleEndian.AppendUint32(bytes, uint32(e))
		case operand.U64:
			bytes = binary.LittleEndian.AppendUint64(bytes, uint64(e))
		default:
			panic(fmt.Sprintf("emit: a table of %T", element))
		}
	}
	var packed []operand.U64
	for ; len(bytes) > 0; bytes = bytes[8:] {
		packed = append(packed, operand.U64(binary.LittleEndian.Uint64(bytes)))
	}
	return packed
}
