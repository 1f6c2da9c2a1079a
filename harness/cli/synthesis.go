package cli

import (
	"context"
	"errors"
	"fmt"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/reports"
	"bittern/reports/table"
)

// synthesis is the columns of a machine as gates.
type synthesis struct {
	Columns []backend.RTLColumn `json:"columns"`
	Power   []networkPower      `json:"power,omitempty"`
}

// networkPower is what the column of a network draws, or why that cannot be told.
type networkPower struct {
	Network string            `json:"network"`
	Power   *backend.RTLPower `json:"power,omitempty"`
	Reason  string            `json:"reason,omitempty"`
}

// synthesizeRTL prints the columns as gates, and what they draw while they compute the
// networks that are chosen.
func (p *program) synthesizeRTL(ctx context.Context, machine backend.RTL, ids []string, settings rtlSettings) error {
	chosen, err := settings.several(ctx, ids)
	if err != nil {
		return err
	}
	var found synthesis
	if found.Columns, err = machine.SynthesizeRTL(ctx, settings.Synth); err != nil {
		return err
	}
	for _, id := range chosen {
		settings.id = id
		of, t, err := settings.deploy(ctx, machine)
		row := networkPower{Network: title(of)}
		if err == nil {
			var power backend.RTLPower
			if power, err = machine.PowerRTL(ctx, settings.Synth, testBatches(t), settings.Windows); err == nil {
				row.Power = &power
			}
		}
		if row.Reason, err = reason(err); err != nil {
			return err
		}
		found.Power = append(found.Power, row)
	}
	if settings.Format == formatJSON {
		return p.json(found)
	}
	return p.writeSynthesis(found)
}

// reason is why a figure is n/a: what a machine lacks, and what the user has to mend. Any
// other error stays one.
func reason(err error) (string, error) {
	if unsupported, ok := errors.AsType[*backend.ErrUnsupported](err); ok {
		return unsupported.Reason, nil
	}
	if problem, ok := errors.AsType[*plugins.Problem](err); ok {
		return problem.Error(), nil
	}
	return "", err
}

// several are the IDs of the networks that are meant: those named, or those of a suite.
func (c choice) several(ctx context.Context, ids []string) ([]string, error) {
	if len(ids) == 0 && c.Suite != "" {
		all, err := c.experiments(ctx)
		if err != nil {
			return nil, err
		}
		for _, e := range all {
			ids = append(ids, e.ID)
		}
	}
	for _, id := range ids { // before anything takes long
		c.id = id
		if _, _, err := c.network(ctx); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func (p *program) writeSynthesis(found synthesis) error {
	area := table.New("column", "units", "cells", "ratio", "cells and weight memory", "ratio", "published ratio")
	first := found.Columns[0]
	for _, c := range found.Columns {
		if err := area.Append(c.Weights, fmt.Sprint(c.Units), fmt.Sprintf("%.0f", c.CellArea), ratio(c.CellArea, first.CellArea),
			fmt.Sprintf("%.0f", c.CellArea+c.MemoryArea), ratio(c.CellArea+c.MemoryArea, first.CellArea+first.MemoryArea),
			ratio(c.PublishedArea, first.PublishedArea)); err != nil {
			return err
		}
	}
	if err := p.section("Area", area); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, `
- cells: those of the units, in the unit of the liberty file; weight memory: that of the design in µm², %s, so the sum is one of cells in µm² of such a process
- published: %s; it has the weight memories in it
`, first.MemorySource, first.Source)
	if len(found.Power) == 0 {
		_, err := fmt.Fprintln(p.stdout, "- power needs networks whose windows move the gates: name them by their IDs, or by --suite and its labels")
		return err
	}
	fmt.Fprintln(p.stdout)
	if err := p.writePower(found); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, `
- cells: what OpenSTA tells of each cell of a unit at the changes of its own output, times the units, while the column works. They are counted in Verilator while the gates multiply by the recurrent weights in windows of the test part, in cycles of units that are evenly chosen; the sums are compared with the SystemVerilog's
- switching: the part of it that charges what cells drive. OpenSTA 2.0.17, which is Debian 12's, counts the energy within a cell, which is the rest, for each input and edge that the liberty file has a figure of: of IHP's cells 2 times too much for a NAND, 6 for an XOR and 3 for the clock of a register
- left out: wires, the clock's tree, what drives the units' inputs, changes within a cycle that do not last, and whether the cells reach the clock
- weight memory: a word read in each cycle, %s, so the sum is one of cells of such a process
- ratios: to the first network on the %s column; what is published has the weight memories in it
`, first.MemorySource, first.Weights)
	return nil
}

func (p *program) writePower(found synthesis) error {
	power := table.New("network", "column", "changes a cell and cycle", "switching mW", "ratio", "cells mW", "ratio", "cells and weight memory mW", "ratio", "published ratio")
	var base backend.RTLPower
	for _, row := range found.Power {
		if row.Power != nil && row.Power.Weights == found.Columns[0].Weights {
			base = *row.Power
			break
		}
	}
	var reasons []string
	for _, row := range found.Power {
		if row.Power == nil {
			const none = "n/a"
			reasons = append(reasons, fmt.Sprintf("- n/a, %s: %s\n", row.Network, row.Reason))
			if err := power.Append(row.Network, none, none, none, none, none, none, none, none, none); err != nil {
				return err
			}
			continue
		}
		w := row.Power
		if err := power.Append(row.Network, w.Weights, fmt.Sprintf("%.3f", w.Changes),
			milliwatts(w.Switching), ratio(w.Switching, base.Switching), milliwatts(w.Cells()), ratio(w.Cells(), base.Cells()),
			milliwatts(w.Cells()+w.Memory), ratio(w.Cells()+w.Memory, base.Cells()+base.Memory), ratio(w.Published, base.Published)); err != nil {
			return err
		}
	}
	if err := p.section("Power", power); err != nil {
		return err
	}
	if len(reasons) > 0 {
		fmt.Fprintln(p.stdout)
	}
	for _, text := range reasons {
		fmt.Fprint(p.stdout, text)
	}
	return nil
}

func (p *program) section(heading string, t *table.Table) error {
	fmt.Fprintf(p.stdout, "## %s\n\n", heading)
	return t.Write(p.stdout)
}

func milliwatts(watts float64) string { return reports.Significant(1e3 * watts) }

// ratio is n/a where one of the two is not known.
func ratio(value, base float64) string {
	if value == 0 || base == 0 {
		return "n/a"
	}
	return fmt.Sprintf("%.2f", value/base)
}
