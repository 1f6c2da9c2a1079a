package asic

import (
	"context"
	"iter"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/accel/backends/asic/rtl"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

var _ backend.RTL = (*simulator)(nil)

// CheckRTL runs windows on the machine of package rtl.
func (s *simulator) CheckRTL(ctx context.Context, batches iter.Seq2[network.Batch, error], windows int) (backend.RTLCheck, error) {
	if s.program == nil {
		return backend.RTLCheck{}, errNothingDeployed
	}
	if windows < 1 {
		return backend.RTLCheck{}, plugins.Problemf("%d windows cannot be checked; give at least 1", windows)
	}
	var check backend.RTLCheck
	var traced []datapath.Window
	for batch, err := range batches {
		if err != nil {
			return backend.RTLCheck{}, err
		}
		some, places := scored(s.network, batch, windows-check.Windows)
		check.Windows += len(places)
		if len(places) == 0 {
			continue
		}
		more, err := s.program.Trace(ctx, s.network, some)
		if err != nil {
			return backend.RTLCheck{}, err
		}
		traced = append(traced, more...)
		for _, place := range places {
			steps := map[string]int{}
			for _, stream := range s.network.Streams() {
				steps[stream] = batch.Length(s.network.Inputs, stream, place)
			}
			check.SimulatedCycles += int64(*newCost(s.design, s.program, steps).report().Cycles)
		}
		if check.Windows == windows {
			break
		}
	}
	if check.Windows == 0 {
		return backend.RTLCheck{}, plugins.Problemf("no sequence has a target, so there is nothing to check")
	}
	found, err := s.machine().Check(ctx, s.program, traced)
	check.Steps, check.Bits, check.Mismatches, check.Cycles, check.First = found.Steps, found.Bits, found.Mismatches, found.Cycles, found.First
	return check, err
}

// machine is the design in SystemVerilog.
func (s *simulator) machine() rtl.Machine {
	narrow := s.design.Binary
	if s.program.Recurrent == datapath.Ternary {
		narrow = s.design.Ternary
	}
	return rtl.Machine{NarrowUnits: narrow.Units, WideUnits: s.design.TwelveBit.Units, Lanes: s.design.Lanes}
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

// SynthesizeRTL synthesizes a column of as many units as the 12-bit one has for each width
// of weights, so that units are compared.
func (s *simulator) SynthesizeRTL(ctx context.Context, liberty string) ([]backend.RTLColumn, error) {
	units := s.design.TwelveBit.Units
	var columns []backend.RTLColumn
	for _, width := range []datapath.Width{datapath.Binary, datapath.Ternary, datapath.TwelveBit} {
		area, err := rtl.CellArea(ctx, liberty, units, width)
		if err != nil {
			return nil, err
		}
		published := s.design.column(width)
		columns = append(columns, backend.RTLColumn{
			Weights: width.String(), Units: units, CellArea: area,
			PublishedArea: published.Area / float64(published.Units) * float64(units), Source: s.design.Source,
		})
	}
	return columns, nil
}
