// Package rtl is the machine of package asic in SystemVerilog (folder sv): the columns of
// units, the lanes, the memories and the control of a time step. It is the referee of the
// simulator: both compute every bit, and Verilator tells whether they are the same and take
// the same cycles.
//
// # The machine
//
// A network is not wired in. Each graph of it is microcode: an instruction for each operation
// that takes time, weights as words with a code for each unit, tables of scales, offsets and
// functions. What package asic counts as no time is part of what reads or writes: an operand
// is rounded where it is read, the sum of a 12-bit column can leave it as a value, and the
// states are the values that the step before has left in the other of two banks.
//
// A unit adds a product and a lane makes an element in each cycle, without a pipeline, since
// the cycles are those of package asic. The memories of values and sums are read by as many
// lanes at a time as there are; how banks would do that is left open.
//
// # Gates
//
// A column is its units and nothing else, so Yosys makes gates of one unit, of the standard
// cells of a liberty file. For their power they are given what a column multiplies in windows
// of a trained network: the operands that the simulator computes, which Check holds to this
// machine, in the order in which the control goes through rows and columns. Verilator counts
// the changes of each cell's output, and OpenSTA tells the power of each cell at that.
package rtl

import (
	"bufio"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/plugins"
)

//go:embed sv/*.sv
var sources embed.FS

// files are the modules in the order in which they are compiled.
var files = []string{"fixed.sv", "microcode.sv", "unit.sv", "column.sv", "lane.sv", "control.sv", "accelerator.sv", "testbench.sv"}

// Machine is what a design chooses.
type Machine struct {
	NarrowUnits int // of the column of one or two bits
	WideUnits   int // of the 12-bit column
	Lanes       int
}

// Result is what a check has found.
type Result struct {
	Windows    int
	Steps      int
	Bits       int64  // compared: of every state and output after every time step
	Mismatches int64  // bits that differ
	Cycles     int64  // of the SystemVerilog machine
	First      string // the first mismatch in words
}

// Check runs windows of a program on the SystemVerilog machine and compares all that they
// give. A missing tool is a *plugins.Problem.
func (m Machine) Check(ctx context.Context, p *datapath.Program, windows []datapath.Window) (_ Result, err error) {
	images, err := m.images(p)
	if err != nil {
		return Result{}, err
	}
	room := m.sizes(p.Recurrent)
	for _, i := range images {
		room.grow(i)
	}
	t, err := build(ctx, room, sources)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	return t.check(ctx, p, images, windows)
}

// images are those of all graphs.
func (m Machine) images(p *datapath.Program) ([]*image, error) {
	var all []*image
	for _, g := range p.Graphs {
		code, err := g.Microcode()
		if err != nil {
			return nil, err
		}
		i, err := newImage(m, code, p.Recurrent)
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, nil
}

// sizes has room for nothing yet.
func (m Machine) sizes(width datapath.Width) sizes {
	return sizes{
		Machine: m, narrowBits: narrowBits(width), sumBits: 24,
		instructions: 1, values: 1, sums: 1, narrow: 1, wide: 1, scales: 1, offsets: 1, tables: 1, tokens: 1, outputs: 1,
	}
}

// testbench is the compiled testbench, in a folder of its own.
type testbench struct{ folder string }

func (t *testbench) Close() error { return os.RemoveAll(t.folder) }

// build compiles a machine that has room for some sizes. With 100 units that takes some twenty
// seconds of a core.
func build(ctx context.Context, room sizes, sv fs.FS) (_ *testbench, err error) {
	verilator, err := findVerilator()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "bittern-rtl-")
	if err != nil {
		return nil, err
	}
	t := &testbench{folder}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	if err := copySources(folder, sv, files...); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(folder, "parameters.svh"), []byte(room.parameters()), 0o644); err != nil {
		return nil, err
	}
	arguments := append([]string{
		"--binary", "--timing", "-O3", "-j", "2", "-Wno-fatal", "-Wno-WIDTH", "--unroll-count", "1024", "--unroll-stmts", "1", "--top-module", "testbench",
		"-MAKEFLAGS", "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O0", "-Mdir", "build", "-o", "testbench",
	}, files...)
	_, err = run(ctx, folder, verilator, arguments...)
	return t, err
}

// check runs the windows of a program whose graphs are these images.
func (t *testbench) check(ctx context.Context, p *datapath.Program, images []*image, windows []datapath.Window) (Result, error) {
	var sum Result
	for number, i := range images {
		var own []datapath.Window
		for _, w := range windows {
			if w.Graph == number {
				own = append(own, w)
			}
		}
		if len(own) == 0 {
			continue
		}
		output, err := t.simulate(ctx, i, own)
		if err != nil {
			return sum, err
		}
		if err := sum.compare(p.Graphs[number], number, own, output); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// simulate runs the windows of a graph, and returns what the testbench wrote.
func (t *testbench) simulate(ctx context.Context, i *image, windows []datapath.Window) ([]byte, error) {
	if err := i.write(t.folder); err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(t.folder, "stimulus.txt"), func(w *bufio.Writer) { i.stimulus(w, windows) }); err != nil {
		return nil, err
	}
	if _, err := run(ctx, t.folder, filepath.Join(t.folder, "build", "testbench")); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(t.folder, "results.txt"))
}

// find looks for a program, which a Debian package of a name has.
func find(program, debian string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", plugins.Problemf("there is no %s on this machine; install it (on Debian: apt-get install %s) and run the command again", program, debian)
	}
	return path, nil
}

// findVerilator looks for Verilator and what it compiles with.
func findVerilator() (path string, err error) {
	for _, tool := range []string{"make", "g++", "verilator"} {
		if path, err = find(tool, tool); err != nil {
			return "", err
		}
	}
	return path, nil
}

// run runs a tool in a folder and returns what it printed. An error has the beginning of that,
// or of its first error.
func run(ctx context.Context, folder, program string, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, program, arguments...)
	command.Dir = folder
	together(command)
	output, err := command.CombinedOutput()
	if err == nil {
		return output, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	text := strings.TrimSpace(string(output))
	if at := strings.Index(text, "%Error"); at >= 0 {
		text = text[at:]
	}
	return nil, fmt.Errorf("%s: %w: %s", filepath.Base(program), err, text[:min(len(text), 2000)])
}

// stimulus writes what the testbench reads.
func (i *image) stimulus(w *bufio.Writer, windows []datapath.Window) {
	outputs := i.outputs()
	fmt.Fprintln(w, len(i.code.Instructions), len(i.code.Inputs), len(outputs))
	for _, o := range outputs {
		fmt.Fprintln(w, int(o.Space), o.Address, o.Shift, o.Bits)
	}
	words := func(addresses []int, values [][]int32) {
		count := 0
		for _, v := range values {
			count += len(v)
		}
		fmt.Fprintln(w, count)
		for n, v := range values {
			for k, x := range v {
				fmt.Fprintln(w, addresses[n]+k, x)
			}
		}
	}
	var states []int
	for _, s := range i.code.States {
		states = append(states, s.Address)
	}
	for _, window := range windows {
		fmt.Fprintln(w, len(window.Steps), window.Position)
		words(states, window.States)
		for _, step := range window.Steps {
			for _, token := range step.Tokens {
				fmt.Fprintln(w, token)
			}
			words(i.code.Inputs, step.Inputs)
		}
	}
}
