// Package bits compares what the vector levels compute with what they did when it was stored:
// AVX2, AVX-512 and NEON give the same numbers to the bit, on any processor.
package bits

import (
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"bittern/accel/kernels/isa"
)

var update = flag.Bool("update", false, "write testdata/bits.txt from the best level of this machine")

// Lines are results by name.
type Lines struct{ text strings.Builder }

// Add adds a result.
func (l *Lines) Add(name string, values []float32) {
	hash := sha256.New()
	for _, v := range values {
		hash.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
	}
	fmt.Fprintf(&l.text, "%s %x\n", name, hash.Sum(nil)[:8])
}

// Compare compares what compute adds, for each vector level of this machine, with
// testdata/bits.txt.
func Compare(t *testing.T, compute func(level isa.Level, lines *Lines)) {
	t.Helper()
	const file = "testdata/bits.txt"
	stored, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for _, level := range isa.Available() {
		if level == isa.Portable { // computes some of it in float64
			continue
		}
		var lines Lines
		compute(level, &lines)
		got := lines.text.String()
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
