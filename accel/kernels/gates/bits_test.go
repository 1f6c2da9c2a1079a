package gates

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"bittern/accel/kernels/internal/bits"
	"bittern/accel/kernels/isa"
)

func TestVectorLevelsGiveTheseBits(t *testing.T) {
	t.Parallel()
	bits.Compare(t, func(level isa.Level, lines *bits.Lines) {
		for _, rows := range fewShapes.rows {
			for _, columns := range fewShapes.columns {
				everyStep(t, forLevel(level), rows, columns, lines)
			}
		}
	})
}

// everyStep runs steps of all kinds.
func everyStep(t *testing.T, k kernels, rows, columns int, lines *bits.Lines) {
	order := make([]int32, rows)
	for r := range order {
		order[r] = int32(r * 3 % rows)
	}
	add := func(name string, outputs map[string]array) {
		var values []float32
		for _, output := range slices.Sorted(maps.Keys(outputs)) {
			values = append(values, outputs[output].values()...)
		}
		lines.Add(fmt.Sprintf("%s %d×%d", name, rows, columns), values)
	}
	for _, c := range []struct {
		name   string
		change func(*step)
	}{
		{"lstm", func(*step) {}},
		{"lstm gathered", func(s *step) { s.order = order }},
		{"lstm scalar", func(s *step) { s.scalars = Matrix{s.input.Data, s.input.Stride} }},
		{"lstm frozen", func(s *step) { s.batch, s.above = false, false }},
	} {
		s := newStep(t, rows, columns)
		c.change(s)
		s.run(k, 0, columns)
		add(c.name, s.outputs())
	}
	for _, gathered := range []bool{false, true} {
		s, name := newGRUStep(t, rows, columns), "gru"
		if gathered {
			s.order, name = order, "gru gathered"
		}
		s.run(k, 0, columns)
		add(name, s.outputs())
	}
}
