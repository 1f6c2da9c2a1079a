package gates

import (
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"bittern/accel/kernels/isa"
)

var update = flag.Bool("update", false, "write testdata/bits.txt from the best level of this machine")

// TestVectorLevelsGiveTheseBits compares what every vector level computes, on any processor,
// with the hashes in testdata/bits.txt. So AVX2, AVX-512 and NEON agree with each other, and
// with what they computed when the file was written.
func TestVectorLevelsGiveTheseBits(t *testing.T) {
	t.Parallel()
	const file = "testdata/bits.txt"
	stored, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for _, level := range isa.Available() {
		if level == isa.Portable { // computes in float64
			continue
		}
		got := hashes(t, forLevel(level))
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			stored = []byte(got)
		}
		want := strings.Split(string(stored), "\n")
		for i, line := range strings.Split(got, "\n") {
			if i >= len(want) || line != want[i] {
				t.Errorf("%s: got %q, which %s does not have at line %d", level, line, file, i+1)
			}
		}
	}
}

// hashes runs steps of all kinds and returns a line for each.
func hashes(t *testing.T, k kernels) string {
	var lines strings.Builder
	write := func(name string, rows, columns int, outputs map[string]array) {
		hash := sha256.New()
		for _, output := range slices.Sorted(maps.Keys(outputs)) {
			for _, v := range outputs[output].values() {
				hash.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
			}
		}
		fmt.Fprintf(&lines, "%s %d×%d %x\n", name, rows, columns, hash.Sum(nil)[:8])
	}
	for _, rows := range fewShapes.rows {
		for _, columns := range fewShapes.columns {
			order := make([]int32, rows)
			for r := range order {
				order[r] = int32(r * 3 % rows)
			}
			for name, change := range map[string]func(*step){
				"lstm":          func(*step) {},
				"lstm gathered": func(s *step) { s.order = order },
				"lstm scalar":   func(s *step) { s.scalars = Matrix{s.input.Data, s.input.Stride} },
				"lstm frozen":   func(s *step) { s.batch, s.above = false, false },
			} {
				s := newStep(t, rows, columns)
				change(s)
				s.run(k, 0, columns)
				write(name, rows, columns, s.outputs())
			}
			for name, change := range map[string]func(*gruStep){
				"gru":          func(*gruStep) {},
				"gru gathered": func(s *gruStep) { s.order = order },
			} {
				s := newGRUStep(t, rows, columns)
				change(s)
				s.run(k, 0, columns)
				write(name, rows, columns, s.outputs())
			}
		}
	}
	all := strings.SplitAfter(lines.String(), "\n")
	slices.Sort(all)
	return strings.Join(all, "")
}
