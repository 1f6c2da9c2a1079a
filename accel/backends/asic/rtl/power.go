package rtl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"bittern/accel/backends/asic/internal/datapath"
)

// Power is what the units of a column draw while the column works, in watts.
type Power struct {
	Internal  float64 // within cells
	Switching float64 // of the inputs that cells drive
	Leakage   float64

	Cycles  int64   // of a unit, in which changes were counted
	Changes float64 // of the output of a cell in a cycle, their mean
}

// Power is that of a column of so many units at a clock, while it multiplies by the recurrent
// weights in some windows. Yosys makes the gates of a unit, Verilator counts how often each
// of them changes, and OpenSTA tells what that takes. There are no wires and no memories in
// it, nothing that drives the units' inputs, and no changes within a cycle. A missing tool is
// a *plugins.Problem, and what the gates have not is a *backend.ErrUnsupported.
func (u Unit) Power(ctx context.Context, liberty string, units int, clockMHz float64, windows []datapath.Window) (_ Power, err error) {
	sta, err := find("sta", "opensta")
	if err != nil {
		return Power{}, err
	}
	some, err := jobs(windows, units)
	if err != nil {
		return Power{}, err
	}
	g, err := u.synthesize(ctx, liberty)
	if err != nil {
		return Power{}, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	a, err := g.simulate(ctx, some, units)
	if err != nil {
		return Power{}, err
	}
	power, err := g.power(ctx, sta, a, clockMHz)
	if err != nil {
		return Power{}, err
	}
	power.Internal *= float64(units)
	power.Switching *= float64(units)
	power.Leakage *= float64(units)
	power.Cycles = a.cycles
	for _, changes := range a.changes {
		power.Changes += changes / float64(len(a.changes))
	}
	return power, nil
}

// power is that of one unit.
func (g *gates) power(ctx context.Context, sta string, a activity, clockMHz float64) (Power, error) {
	script := filepath.Join(g.folder, "power.tcl")
	if err := writeFile(script, func(w *bufio.Writer) { g.script(w, a, clockMHz) }); err != nil {
		return Power{}, err
	}
	text, err := run(ctx, g.folder, sta, "-no_init", "-no_splash", "-exit", "power.tcl")
	if err != nil {
		return Power{}, err
	}
	power, err := parsePower(string(text), len(g.cells))
	if err != nil {
		return Power{}, fmt.Errorf("OpenSTA: %w", err)
	}
	return power, nil
}

// script asks OpenSTA for the power of each cell at the activity of its own output. OpenSTA
// of 2019 overwrites the activities of single nets by what it estimates of them, but not one
// that is set for the whole design. And it takes cells for idle that no signal of a clock
// reaches, so the inputs change with the clock.
func (g *gates) script(w *bufio.Writer, a activity, clockMHz float64) {
	fmt.Fprintln(w, "read_liberty cells.lib\nread_verilog netlist.v\nlink_design gates")
	fmt.Fprintln(w, "set_cmd_units -time ns -power W")
	var inputs []string
	for _, p := range g.ports {
		for _, b := range p.bits {
			switch {
			case p.name == clockPort:
				fmt.Fprintf(w, "create_clock -name clk -period %g [get_ports %s]\n", 1e3/clockMHz, b.net())
			case p.input:
				inputs = append(inputs, b.net())
			}
		}
	}
	fmt.Fprintf(w, "set_input_delay 0 -clock clk [get_ports {%s}]\n", strings.Join(inputs, " "))
	for number, changes := range a.changes {
		fmt.Fprintf(w, "set_power_activity -global -activity %.6g -duty 0.5\n", changes)
		fmt.Fprintf(w, "report_power -instances [get_cells c%d] -digits 6\n", number)
	}
}

const clockPort = "clk" // of the module unit

// parsePower sums up the lines of report_power -instances: internal, switching, leakage and
// total power of a cell, and its name. There must be one of each of so many cells.
func parsePower(text string, cells int) (sum Power, err error) {
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if strings.HasPrefix(line, "Error") {
			return Power{}, errors.New(strings.TrimSpace(line))
		}
		if len(fields) != 5 {
			continue
		}
		var values [4]float64
		bad := false
		for i := range values {
			var err error
			values[i], err = strconv.ParseFloat(fields[i], 64)
			bad = bad || err != nil
		}
		number, isCell := strings.CutPrefix(fields[4], "c")
		if _, err := strconv.Atoi(number); bad || !isCell || err != nil {
			continue
		}
		if seen[number] {
			return Power{}, fmt.Errorf("the power of the cell c%s is told twice", number)
		}
		seen[number] = true
		sum.Internal += values[0]
		sum.Switching += values[1]
		sum.Leakage += values[2]
	}
	if len(seen) != cells {
		return Power{}, fmt.Errorf("of %d cells the power of %d is told: %s", cells, len(seen), text[:min(len(text), 500)])
	}
	return sum, nil
}
