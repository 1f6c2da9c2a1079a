package rtl

import (
	"bufio"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"strings"

	"bittern/accel/backends/asic/internal/datapath"
)

// image is a graph as the memories and parameters of the SystemVerilog machine.
type image struct {
	Machine
	code *datapath.Microcode
	// first is the address of each matrix in the memory of its column.
	first         []int
	narrow, wide  []string // words of the weight memories, in hexadecimal digits
	narrowBits    int
	both, sumBits int // BOTH is 0 or 1
}

func newImage(m Machine, code *datapath.Microcode, width datapath.Width) (*image, error) {
	i := &image{Machine: m, code: code, narrowBits: narrowBits(width), sumBits: 24, both: 0}
	for _, w := range code.Matrices {
		i.sumBits = max(i.sumBits, sumBits(w))
		memory, units := &i.narrow, m.NarrowUnits
		if w.Width == datapath.TwelveBit {
			memory, units = &i.wide, m.WideUnits
		}
		if w.Both {
			i.both = 1
		}
		i.first = append(i.first, len(*memory))
		for row := 0; row < w.Rows; row += units {
			for column := range w.Cols {
				word, err := i.word(w, row, column, units)
				if err != nil {
					return nil, err
				}
				*memory = append(*memory, word)
			}
		}
	}
	return i, nil
}

// narrowBits is the width of the narrow column's weights.
func narrowBits(width datapath.Width) int {
	if width == datapath.Ternary {
		return 2
	}
	return 1
}

// sumBits hold every sum of a row of products with 12-bit operands.
func sumBits(w datapath.Matrix) int {
	const operand = 1 << (datapath.ActivationBits - 1)
	product := operand
	if w.Width == datapath.TwelveBit {
		product *= operand
	}
	return bits.Len(uint(product*w.Cols)) + 1
}

// word has the codes of a block of rows in one column of a matrix, that of the first unit
// in the lowest bits.
func (i *image) word(w datapath.Matrix, row, column, units int) (string, error) {
	width := int(w.Width)
	if w.Width != datapath.TwelveBit {
		width = i.narrowBits
	}
	digits := make([]byte, (units*width+3)/4)
	for u := range min(units, w.Rows-row) {
		code, err := encode(w, w.Codes[(row+u)*w.Cols+column], width)
		if err != nil {
			return "", err
		}
		for bit := range width {
			at := u*width + bit
			digits[at/4] |= byte(code >> bit & 1 << (at % 4))
		}
	}
	var text strings.Builder
	for d := len(digits) - 1; d >= 0; d-- {
		fmt.Fprintf(&text, "%x", digits[d])
	}
	return text.String(), nil
}

// encode is the code of a weight, in so many bits.
func encode(w datapath.Matrix, code int16, width int) (uint16, error) {
	if width > 1 {
		return uint16(code), nil
	}
	switch {
	case code == 1:
		return 1, nil
	case code == 0 && !w.Signs && !w.Both, code == -1:
		return 0, nil
	}
	return 0, fmt.Errorf("a binary weight of %d", code)
}

// sizes are the parameters of the machine: what it is built of and has room for.
type sizes struct {
	Machine
	narrowBits, sumBits, both                int
	instructions, values, sums, narrow, wide int // words
	scales, offsets, tables, tokens, outputs int
}

// grow makes room for an image.
func (s *sizes) grow(i *image) {
	for _, least := range []struct {
		size *int
		want int
	}{
		{&s.sumBits, i.sumBits}, {&s.both, i.both}, {&s.instructions, len(i.code.Instructions)},
		{&s.values, i.code.ValueWords}, {&s.sums, i.code.SumWords}, {&s.narrow, len(i.narrow)}, {&s.wide, len(i.wide)},
		{&s.scales, len(i.code.Scales)}, {&s.offsets, len(i.code.Offsets)}, {&s.tables, len(i.code.Tables)},
		{&s.tokens, len(i.code.Inputs)}, {&s.outputs, len(i.outputs())},
	} {
		*least.size = max(*least.size, least.want)
	}
}

// parameters are the sizes as the testbench includes them.
func (s sizes) parameters() string {
	var text strings.Builder
	for _, p := range []struct {
		name  string
		value int
	}{
		{"NARROW_BITS", s.narrowBits},
		{"NARROW_UNITS", s.NarrowUnits},
		{"WIDE_UNITS", s.WideUnits},
		{"LANES", s.Lanes},
		{"SUM_BITS", s.sumBits},
		{"BOTH", s.both},
		{"INSTRUCTIONS", s.instructions},
		{"VALUE_WORDS", s.values},
		{"SUM_WORDS", s.sums},
		{"NARROW_WORDS", s.narrow},
		{"WIDE_WORDS", s.wide},
		{"SCALE_WORDS", s.scales},
		{"OFFSET_WORDS", s.offsets},
		{"TABLES", s.tables},
		{"TOKENS", s.tokens},
		{"OUTPUTS", s.outputs},
	} {
		fmt.Fprintf(&text, "localparam int %s = %d;\n", p.name, p.value)
	}
	return text.String()
}

// outputs are the words that the testbench writes out after each time step, one by one:
// the states and what the graph gives out.
func (i *image) outputs() []datapath.Operand {
	var all []datapath.Operand
	for _, segments := range [][]datapath.Segment{i.code.States, i.code.Output} {
		for _, s := range segments {
			for k := range s.Size {
				o := s.Operand
				o.Address += k
				all = append(all, o)
			}
		}
	}
	return all
}

// write puts the memories into a folder.
func (i *image) write(folder string) error {
	for name, fill := range map[string]func(w *bufio.Writer){
		"instructions.hex": i.instructions,
		"narrow.hex":       func(w *bufio.Writer) { lines(w, i.narrow) },
		"wide.hex":         func(w *bufio.Writer) { lines(w, i.wide) },
		"scales.hex": func(w *bufio.Writer) {
			for _, s := range i.code.Scales {
				fmt.Fprintf(w, "%03x%x\n", uint16(s.Mantissa)&0xfff, s.Shift)
			}
		},
		"offsets.hex": func(w *bufio.Writer) {
			for _, o := range i.code.Offsets {
				fmt.Fprintf(w, "%06x\n", uint32(o)&0xffffff)
			}
		},
		"tables.hex": func(w *bufio.Writer) {
			for _, table := range i.code.Tables {
				for _, entry := range table {
					fmt.Fprintf(w, "%03x\n", uint16(entry)&0xfff)
				}
			}
		},
	} {
		if err := writeFile(filepath.Join(folder, name), fill); err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes a file; a failure of the writer is that of its Flush.
func writeFile(path string, fill func(w *bufio.Writer)) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	fill(w)
	if err := w.Flush(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func lines(w *bufio.Writer, all []string) {
	if len(all) == 0 {
		all = []string{"0"} // a memory has one word at least
	}
	for _, line := range all {
		w.WriteString(line)
		w.WriteByte('\n')
	}
}

// instructions writes the fields of instruction_t in their order, 32 bits each.
func (i *image) instructions(w *bufio.Writer) {
	for _, m := range i.code.Instructions {
		var fields []int
		operand := func(o datapath.Operand) {
			fields = append(fields, int(o.Space), o.Address, o.Shift, o.Bits)
		}
		rows := func(r datapath.Rows) { fields = append(fields, r.Address, r.Rows, r.RowWords, r.Each) }
		x, y := datapath.Segment{}, m.Y
		if len(m.X) > 0 {
			x = m.X[0]
		}
		if len(m.X) > 1 {
			y = m.X[1].Operand
		}
		var matrix datapath.Matrix
		weights := 0
		if m.Op == datapath.MicroMatVec || m.Op == datapath.MicroLookup {
			matrix, weights = i.code.Matrices[m.Matrix], i.first[m.Matrix]
		}
		fields = append(fields, int(m.Op), number(matrix.Width == datapath.TwelveBit), m.Rows, matrix.Cols,
			weights, number(matrix.Signs), x.Size, m.Token)
		operand(x.Operand)
		operand(y)
		fields = append(fields, m.XLeft, m.YLeft)
		rows(m.Scales)
		rows(m.Offsets)
		fields = append(fields, m.Exponent, m.Table)
		operand(m.Z)
		fields = append(fields, number(m.Both), m.SecondAddress)
		for _, field := range fields {
			fmt.Fprintf(w, "%08x", uint32(int32(field)))
		}
		w.WriteByte('\n')
	}
}

func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
