package asic

import (
	"context"
	"fmt"
	"iter"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/accel/backends/asic/rtl"
	"bittern/accel/backends/internal/energy"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

var _ backend.RTL = (*simulator)(nil)

// CheckRTL runs windows on the machine of package rtl.
func (s *simulator) CheckRTL(ctx context.Context, batches iter.Seq2[network.Batch, error], windows int) (backend.RTLCheck, error) {
	traced, check, err := s.trace(ctx, batches, windows)
	if err != nil {
		return backend.RTLCheck{}, err
	}
	found, err := s.machine().Check(ctx, s.program, traced)
	check.Steps, check.Bits, check.Mismatches, check.Cycles, check.First = found.Steps, found.Bits, found.Mismatches, found.Cycles, found.First
	return check, err
}

// trace runs so many sequences that have a target on the simulator, and tells the cycles.
func (s *simulator) trace(ctx context.Context, batches iter.Seq2[network.Batch, error], windows int) (traced []datapath.Window, check backend.RTLCheck, err error) {
	if s.program == nil {
		return nil, check, errNothingDeployed
	}
	if err := s.model.design.inSystemVerilog(); err != nil {
		return nil, check, err
	}
	if windows < 1 {
		return nil, check, plugins.Problemf("%d windows cannot be run; give at least 1", windows)
	}
	for batch, err := range batches {
		if err != nil {
			return nil, check, err
		}
		some, places := scored(s.network, batch, windows-check.Windows)
		check.Windows += len(places)
		if len(places) == 0 {
			continue
		}
		more, err := s.program.Trace(ctx, s.network, some)
		if err != nil {
			return nil, check, err
		}
		traced = append(traced, more...)
		for _, place := range places {
			steps := map[string]int{}
			for _, stream := range s.network.Streams() {
				steps[stream] = batch.Length(s.network.Inputs, stream, place)
			}
			check.SimulatedCycles += int64(newCost(s.model, s.program, steps).cycles)
		}
		if check.Windows == windows {
			break
		}
	}
	if check.Windows == 0 {
		return nil, check, plugins.Problemf("no sequence has a target, so there is nothing to run")
	}
	return traced, check, nil
}

// inSystemVerilog refuses a design that has what the machine of package rtl has not.
func (d Design) inSystemVerilog() error {
	what := ""
	switch {
	case len(d.Overlap) > 0:
		what = "work that overlaps"
	case d.DRAM != nil:
		what = "a DRAM"
	}
	for _, w := range widths {
		if d.column(w).stretch(w) > 1 {
			what = "a weight memory with too few ports for its units"
		}
	}
	if what == "" {
		return nil
	}
	return &backend.ErrUnsupported{Reason: fmt.Sprintf("the design %s has %s, which the SystemVerilog has not", d.Name, what)}
}

// machine is the design in SystemVerilog.
func (s *simulator) machine() rtl.Machine {
	columns := s.model.design.Columns
	narrow := columns.Binary
	if s.program.Recurrent == datapath.Ternary {
		narrow = columns.Ternary
	}
	return rtl.Machine{NarrowUnits: narrow.Units, WideUnits: columns.TwelveBit.Units, Lanes: s.model.design.Lanes}
}

// scored is a batch of at most so many sequences of another, all of which have a target and
// start fresh, and their places in that.
func scored(n network.Network, b network.Batch, most int) (some network.Batch, places []int) {
	for place := range b.Sequences {
		if len(places) < most && b.Scored(place) {
			places = append(places, place)
		}
	}
	some = n.Shape(max(1, len(places)), b.Steps, false).Allocate()
	if len(places) == 0 {
		return some, nil
	}
	for _, in := range n.Inputs {
		rows := 1
		if in.Role == network.Tokens || in.Role == network.Features {
			rows = b.Steps[in.Stream]
		}
		pick(some.Int32[in.Name], b.Int32[in.Name], rows, places, b.Sequences)
		pick(some.Float32[in.Name], b.Float32[in.Name], rows, places, b.Sequences)
	}
	pick(some.Targets, b.Targets, len(b.Targets)/b.Sequences, places, b.Sequences)
	return some, places
}

// pick copies what sequences at some places have from a tensor of [rows, sequences, size].
func pick[T any](to, from []T, rows int, places []int, sequences int) {
	size := len(from) / rows / sequences
	for row := range rows {
		for i, place := range places {
			copy(to[(row*len(places)+i)*size:][:size], from[(row*sequences+place)*size:])
		}
	}
}

// SynthesizeRTL tells the area of columns of as many units as the 12-bit one has for each
// width of weights, so that units are compared.
func (s *simulator) SynthesizeRTL(ctx context.Context, liberty string) ([]backend.RTLColumn, error) {
	_, m, err := s.resolve(nil)
	if err != nil {
		return nil, err
	}
	d, units := m.design, m.design.Columns.TwelveBit.Units
	var columns []backend.RTLColumn
	for _, width := range widths {
		area, err := d.unit(width).CellArea(ctx, liberty)
		if err != nil {
			return nil, err
		}
		c := d.column(width)
		share := float64(units) / float64(c.Units)
		column := backend.RTLColumn{
			Weights: width.String(), Units: units, CellArea: area * float64(units), Source: d.Source,
			MemoryArea:   1e6 * share * c.Weights.bits() * memories.SRAMArea(c.Weights.Words),
			MemorySource: fmt.Sprintf("table %s in %s", memories.Table.Name, memories.Process),
		}
		if c.Published != nil {
			column.PublishedArea = c.Published.Area * share
		}
		columns = append(columns, column)
	}
	return columns, nil
}

// memories are of the process of the open cells that the SystemVerilog was tried with.
var memories = energy.Find(defaultTable).In(energy.Process{Node: 130, Voltage: 1.2})

// unit is that of a column.
func (d Design) unit(width datapath.Width) rtl.Unit {
	return rtl.Unit{Weights: width, SumBits: d.column(width).AccumulatorBits}
}

// PowerRTL tells the power of a column of as many units as the 12-bit one has.
func (s *simulator) PowerRTL(ctx context.Context, liberty string, batches iter.Seq2[network.Batch, error], windows int) (backend.RTLPower, error) {
	traced, check, err := s.trace(ctx, batches, windows)
	if err != nil {
		return backend.RTLPower{}, err
	}
	d, width := s.model.design, s.program.Recurrent
	c, units := d.column(width), d.Columns.TwelveBit.Units
	found, err := d.unit(width).Power(ctx, liberty, units, d.ClockMHz, traced)
	if err != nil {
		return backend.RTLPower{}, err
	}
	word := float64(units) * float64(width)
	power := backend.RTLPower{
		Weights: width.String(), Units: units, ClockMHz: d.ClockMHz, Windows: check.Windows,
		Cycles: found.Cycles, Changes: found.Changes,
		Internal: found.Internal, Switching: found.Switching, Leakage: found.Leakage,
		Memory: d.clock()*word*memories.Read(c.Weights.Words) + memories.SRAMLeakage(c.Weights.bits()*float64(units)/float64(c.Units)),
	}
	if c.Published != nil {
		power.Published = 1e-3 * c.Published.Power / float64(c.Units) * float64(units)
	}
	return power, nil
}
