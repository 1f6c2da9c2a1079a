package rtl

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/plugins/backend"
	programs "bittern/plugins/network/sample"
)

// small has blocks that are not full and vectors that take several cycles of the lanes.
var small = Machine{NarrowUnits: 7, WideUnits: 5, Lanes: 3}

// sample is a traced program.
type traced struct {
	name    string
	program *datapath.Program
	images  []*image
	windows []datapath.Window
}

// samples are the programs that the datapath has, whose recurrent weights take some column.
func samples(t *testing.T, width datapath.Width) []traced {
	t.Helper()
	var all []traced
	for _, p := range programs.Programs() {
		program, err := datapath.Compile(p.Network, p.Weights, 3)
		if unsupported := new(*backend.ErrUnsupported); errors.As(err, unsupported) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		if narrowBits(program.Recurrent) != narrowBits(width) {
			continue
		}
		images, err := small.images(program)
		if unsupported := new(*backend.ErrUnsupported); errors.As(err, unsupported) {
			t.Logf("%s: %v", p.Name, err)
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		var windows []datapath.Window
		for number := range 2 {
			more, err := program.Trace(t.Context(), p.Network, p.Batch(3, number))
			if err != nil {
				t.Fatal(err)
			}
			windows = append(windows, more...)
		}
		all = append(all, traced{p.Name, program, images, windows})
	}
	return all
}

// machine compiles sources with room for samples.
func machine(t *testing.T, width datapath.Width, all []traced, sv fs.FS) *testbench {
	t.Helper()
	room := small.sizes(width)
	for _, s := range all {
		for _, i := range s.images {
			room.grow(i)
		}
	}
	b, err := build(context.WithoutCancel(t.Context()), room, sv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// need skips a test where a tool is missing, which a Debian package of a name has.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			debian := tool
			if tool == "sta" {
				debian = "opensta"
			}
			t.Skipf("there is no %s on this machine (on Debian: apt-get install %s)", tool, debian)
		}
	}
}

// wired are programs that no design is too small for, by the width of their recurrent weights:
// GRUs, several layers, several graphs, embeddings, carried states and rounded ones.
var wired = map[datapath.Width][]string{
	datapath.Binary:  {"lstm-binary", "lstm-float-carried", "gru-binary-rows", "dense-last", "tagger"},
	datapath.Ternary: {"lstm-ternary", "lstm-rounded-carried", "gru-ternary-carried", "two-layers", "bidirectional"},
}

// The SystemVerilog machine computes the bits of the simulator for all programs that the
// datapath has: LSTM and GRU, several streams and layers, all formats of weights.
func TestTheMachineIsTheSimulator(t *testing.T) {
	need(t, "verilator", "g++", "make")
	t.Parallel()
	for _, width := range []datapath.Width{datapath.Binary, datapath.Ternary} {
		t.Run(width.String(), func(t *testing.T) {
			t.Parallel()
			all := samples(t, width)
			for _, name := range wired[width] {
				if !slices.ContainsFunc(all, func(s traced) bool { return s.name == name }) {
					t.Errorf("the machine has no wires for %s", name)
				}
			}
			b := machine(t, width, all, sources)
			for _, s := range all {
				got, err := b.check(t.Context(), s.program, s.images, s.windows)
				if err != nil {
					t.Fatalf("%s: %v", s.name, err)
				}
				t.Logf("%s: %+v", s.name, got)
				if got.Mismatches > 0 || got.Bits == 0 {
					t.Errorf("%s: %d of %d bits differ: %s", s.name, got.Mismatches, got.Bits, got.First)
				}
			}
		})
	}
}

// altered is the sources with one text replaced by another.
func altered(t *testing.T, file, old, replacement string) fs.FS {
	t.Helper()
	all := fstest.MapFS{}
	for _, name := range files {
		text, err := fs.ReadFile(sources, "sv/"+name)
		if err != nil {
			t.Fatal(err)
		}
		if name == file {
			if strings.Count(string(text), old) != 1 {
				t.Fatalf("%s has not %q once", name, old)
			}
			text = []byte(strings.Replace(string(text), old, replacement, 1))
		}
		all["sv/"+name] = &fstest.MapFile{Data: text}
	}
	return all
}

// A fault of the SystemVerilog is found: ties that are rounded up, a unit with a wrong gate,
// an instruction that reads the wrong gate of the LSTM.
func TestFaultsAreFound(t *testing.T) {
	need(t, "verilator", "g++", "make")
	t.Parallel()
	mismatches := func(t *testing.T, sv fs.FS, fault func(i *image)) int64 {
		all := samples(t, datapath.Binary)[:1]
		for _, i := range all[0].images {
			fault(i)
		}
		got, err := machine(t, datapath.Binary, all, sv).check(t.Context(), all[0].program, all[0].images, all[0].windows)
		if err != nil {
			t.Fatal(err)
		}
		return got.Mismatches
	}
	for name, fault := range map[string]struct {
		sv fs.FS
		of func(i *image)
	}{
		"rounding": {altered(t, "fixed.sv", "((x >>> shift) & 1)", "1"), func(*image) {}},
		"unit":     {altered(t, "unit.sv", "(x ^ {12{negative}})", "(x | {12{negative}})"), func(*image) {}},
		"gate": {sources, func(i *image) {
			var tables []*datapath.Micro
			for n := range i.code.Instructions {
				if m := &i.code.Instructions[n]; m.Op == datapath.MicroTable {
					tables = append(tables, m)
				}
			}
			tables[0].X, tables[1].X = tables[1].X, tables[0].X
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if n := mismatches(t, fault.sv, fault.of); n == 0 {
				t.Error("no bit differs")
			}
		})
	}
}
