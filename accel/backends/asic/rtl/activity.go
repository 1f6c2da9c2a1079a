package rtl

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/plugins/backend"
)

// mostCycles is about how many cycles of a unit are simulated, which takes seconds.
const mostCycles = 1 << 20

// activity is how often the cells of a unit change their outputs while the column works.
type activity struct {
	cycles  int64     // in which changes were counted
	changes []float64 // per cycle, of the output of each cell that changes most
}

// job is what one unit of a column does in one time step.
type job struct {
	products []datapath.Product
	unit     int
}

// jobs are those of a column of so many units in some windows. Of more than fit into mostCycles
// some are chosen, evenly over units and time steps.
func jobs(windows []datapath.Window, units int) ([]job, error) {
	var all []job
	cycles := 0
	for unit := range units {
		for _, w := range windows {
			for _, step := range w.Steps {
				if len(step.Products) == 0 {
					continue
				}
				for _, p := range step.Products {
					if p.Second {
						return nil, &backend.ErrUnsupported{Reason: "its units have two accumulators, and gates are made of units with one"}
					}
					cycles += (p.Matrix.Rows + units - 1) / units * p.Matrix.Cols
				}
				all = append(all, job{step.Products, unit})
			}
		}
	}
	if len(all) == 0 {
		return nil, &backend.ErrUnsupported{Reason: "no window multiplies by recurrent weights"}
	}
	chosen := max(1, int(float64(len(all))*min(1, mostCycles/float64(cycles))))
	some := make([]job, chosen)
	for i := range some {
		some[i] = all[i*len(all)/chosen]
	}
	return some, nil
}

// stimulus writes what a unit is given, as activity.sv says. In the last block of rows a unit
// may have none: it is given the code 0, which the weight memory has there.
func (g *gates) stimulus(w *bufio.Writer, all []job, units int) error {
	for _, j := range all {
		var cycles []uint32
		for _, p := range j.products {
			matrix := p.Matrix
			for row := j.unit; row < matrix.Rows+j.unit; row += units {
				for column, x := range p.X {
					var code uint16
					if row < matrix.Rows {
						var err error
						if code, err = encode(matrix, matrix.Codes[row*matrix.Cols+column], int(g.Weights)); err != nil {
							return err
						}
					}
					bits := uint32(number(matrix.Signs))<<1 | uint32(number(column == 0))
					bits = bits<<g.Weights | uint32(code)&(1<<g.Weights-1)
					cycles = append(cycles, bits<<datapath.ActivationBits|uint32(x)&(1<<datapath.ActivationBits-1))
				}
			}
		}
		fmt.Fprintln(w, len(cycles))
		for _, bits := range cycles {
			fmt.Fprintf(w, "%x\n", bits)
		}
	}
	return nil
}

// simulate runs jobs of a column of so many units in Verilator.
func (g *gates) simulate(ctx context.Context, all []job, units int) (a activity, err error) {
	verilator, err := findVerilator()
	if err != nil {
		return a, err
	}
	if err := os.WriteFile(filepath.Join(g.folder, "gates.svh"), []byte(g.bench()), 0o644); err != nil {
		return a, err
	}
	var wrong error
	err = writeFile(filepath.Join(g.folder, "stimulus.txt"), func(w *bufio.Writer) { wrong = g.stimulus(w, all, units) })
	if err := errors.Join(err, wrong); err != nil {
		return a, err
	}
	_, err = run(ctx, g.folder, verilator,
		"--binary", "--timing", "-O3", "-j", "2", "-Wno-fatal", "-Wno-lint", "-Wno-style", "--top-module", "activity",
		fmt.Sprintf("-GWEIGHT_BITS=%d", g.Weights), fmt.Sprintf("-GSUM_BITS=%d", g.SumBits), fmt.Sprintf("-GNETS=%d", len(g.driven())),
		"-MAKEFLAGS", "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O0", "-Mdir", "build", "-o", "activity",
		"unit.sv", "models.v", "netlist.v", "activity.sv")
	if err != nil {
		return a, err
	}
	if _, err := run(ctx, g.folder, filepath.Join(g.folder, "build", "activity")); err != nil {
		return a, err
	}
	text, err := os.ReadFile(filepath.Join(g.folder, "activity.txt"))
	if err != nil {
		return a, err
	}
	return g.readActivity(text)
}

// readActivity reads what the testbench has counted.
func (g *gates) readActivity(text []byte) (a activity, err error) {
	r := bytes.NewReader(text)
	var different int64
	if _, err := fmt.Fscan(r, &a.cycles, &different); err != nil {
		return a, fmt.Errorf("the testbench of the gates: %w", err)
	}
	if different > 0 || a.cycles == 0 {
		return a, fmt.Errorf("the gates of a %s unit give other sums than its SystemVerilog in %d cycles of %d", g.Weights, different, a.cycles)
	}
	for _, c := range g.cells {
		most := 0.0
		for _, p := range c.pins {
			if !p.output || p.bit.net() == "" {
				continue
			}
			var changes int64
			if _, err := fmt.Fscan(r, &changes); err != nil {
				return a, fmt.Errorf("the testbench of the gates: %w", err)
			}
			most = max(most, float64(changes)/float64(a.cycles))
		}
		a.changes = append(a.changes, most)
	}
	return a, nil
}
