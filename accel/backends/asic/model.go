package asic

import (
	"bittern/accel/backends/asic/internal/datapath"
	"bittern/accel/backends/internal/energy"
	"bittern/plugins/backend"
	"bittern/plugins/stepgraph"
)

// The parts of the energy. Each layer that is not recurrent is one part.
const (
	arithmetic       = backend.PartArithmetic
	weightMemory     = backend.PartWeightMemory
	activationMemory = backend.PartActivationMemory
	normalization    = backend.PartNormalization
	nonlinear        = backend.PartNonlinear
	dramTransfer     = backend.PartDRAM
	leakage          = backend.PartLeakage
	clockControl     = backend.PartClock
	otherLeakage     = "leakage of other layers"
	outputLayer      = backend.PartOutputLayer
	embedding        = backend.PartEmbedding
	attention        = backend.PartAttention
)

// accumulatorBits is the width of the sums and of the result registers in the lanes.
const accumulatorBits = 24

// factors are the numbers by which a calibration multiplies the figures of a table. Without a
// calibration all are 1.
type factors struct {
	Memory     float64 // energy of memories
	Logic      float64 // energy of arithmetic and registers
	MemoryArea float64
	LogicArea  float64
}

var uncalibrated = factors{1, 1, 1, 1}

// model says what each event on a machine costs.
type model struct {
	design  Design
	costs   energy.Costs
	factors factors
}

func (m model) read(words int) float64  { return m.factors.Memory * m.costs.Read(words) }
func (m model) write(words int) float64 { return m.factors.Memory * m.costs.Write(words) }
func (m model) add(bits int) float64    { return m.factors.Logic * m.costs.Add(bits) }
func (m model) register() float64       { return m.factors.Logic * m.costs.Register() }
func (m model) multiply(a, b int) float64 {
	return m.factors.Logic * m.costs.Multiply(a, b)
}

// mac is the energy of a multiplication and an addition in a unit, in joules. A weight of
// one or two bits adds, subtracts or skips.
func (m model) mac(c Column, w datapath.Width) float64 {
	e := m.add(c.AccumulatorBits)
	if w > datapath.Ternary {
		e += m.multiply(m.design.ActivationBits, int(w))
	}
	return e
}

// registers is the energy of the registers of a column in a cycle, in joules: each unit has a sum
// and a weight, and the column has the activation that all units get.
func (m model) registers(c Column, w datapath.Width) float64 {
	return float64(c.Units*(c.AccumulatorBits+int(w))+m.design.ActivationBits) * m.register()
}

// activation is the energy of reading an activation, in joules.
func (m model) activation() float64 {
	return float64(m.design.ActivationBits) * m.read(m.design.Activations.Words)
}

// columnArea returns the area of the units of a column and that of its memory, in mm².
func (m model) columnArea(c Column, w datapath.Width) (units, memory float64) {
	unit := m.costs.AdderArea(c.AccumulatorBits) + m.costs.RegisterArea(c.AccumulatorBits)
	if w > datapath.Ternary {
		unit += m.costs.MultiplierArea(m.design.ActivationBits, int(w))
	}
	return float64(c.Units) * unit * m.factors.LogicArea,
		m.memoryArea(c.Weights.bits(), c.Weights.Words)
}

// memoryArea is the area of a number of bits in memories with the given words, in mm².
func (m model) memoryArea(bits float64, words int) float64 {
	return bits * m.costs.SRAMArea(words) * m.factors.MemoryArea
}

// columnLeakage is the power that a column leaks, in watts.
func (m model) columnLeakage(c Column, w datapath.Width) float64 {
	units, _ := m.columnArea(c, w)
	return m.costs.LogicLeakage(units) + m.costs.SRAMLeakage(c.Weights.bits())
}

// lanesArea is the area of the lanes with their function tables, in mm².
func (m model) lanesArea() float64 {
	bits := m.design.ActivationBits
	lane := m.costs.MultiplierArea(bits, bits) + m.costs.AdderArea(accumulatorBits) + m.costs.RegisterArea(accumulatorBits)
	table := m.memoryArea(float64(m.design.Functions.Words*bits), m.design.Functions.Words)
	return float64(m.design.Lanes) * (lane*m.factors.LogicArea + table)
}

// restLeakage is the power that leaks from lanes and activation memory, in watts.
func (m model) restLeakage() float64 {
	tables := float64(m.design.Lanes * m.design.Functions.Words * m.design.ActivationBits)
	return m.costs.LogicLeakage(m.lanesArea()) + m.costs.SRAMLeakage(tables+m.design.Activations.bits())
}

// power is what a column draws while all its units work, by part, in watts. Published powers are
// compared with it.
func (m model) power(c Column, w datapath.Width) map[string]float64 {
	perSecond := m.design.clock() / float64(c.stretch(w))
	macs := float64(c.Units) * perSecond
	return map[string]float64{
		arithmetic:       macs * m.mac(c, w),
		weightMemory:     macs * float64(w) * m.read(c.Weights.Words),
		activationMemory: perSecond * m.activation(),
		clockControl:     m.design.clock() * m.registers(c, w),
		leakage:          m.columnLeakage(c, w),
	}
}

// cycles returns the cycles of an operation in one time step, without the time of the DRAM.
func (m model) cycles(w datapath.Work, width datapath.Width) float64 {
	column := m.design.column(width)
	blocks := float64(ceil(w.Rows, column.Units) * column.stretch(width))
	switch {
	case w.Op == stepgraph.MatVec:
		return blocks * float64(w.Columns)
	case w.Op == stepgraph.Lookup:
		return blocks
	case isVector(w.Op):
		return m.vectorCycles(w)
	case isElementwise(w.Op):
		return float64(ceil(w.Rows, m.design.Lanes))
	default:
		return 0
	}
}

func isElementwise(op stepgraph.Op) bool {
	switch op {
	case stepgraph.MatVec, stepgraph.Lookup, stepgraph.Slice, stepgraph.Concat:
		return false
	}
	return true
}

// energyOf is the energy of an operation in one time step by part, in joules, without that of the
// DRAM. cycles are those of the operation.
func (m model) energyOf(w datapath.Work, width datapath.Width, cycles float64) map[string]float64 {
	column, rows := m.design.column(width), float64(w.Rows)
	parts := map[string]float64{}
	switch w.Op {
	case stepgraph.MatVec:
		macs := rows * float64(w.Columns)
		parts[weightMemory] = macs * float64(width) * m.read(column.Weights.Words)
		parts[arithmetic] = macs * m.mac(column, width)
		parts[activationMemory] = cycles / float64(column.stretch(width)) * m.activation()
		parts[clockControl] = cycles * m.registers(column, width)
		return parts
	case stepgraph.Lookup:
		parts[weightMemory] = rows * float64(width) * m.read(column.Weights.Words)
		parts[clockControl] = cycles * m.registers(column, width)
		return parts
	case stepgraph.Slice, stepgraph.Concat:
		return parts
	case stepgraph.Normalize, datapath.Softmax, datapath.WeightedSum:
		return m.vectorEnergy(w)
	case stepgraph.ScaleShift:
		bits := m.design.ActivationBits
		parts[normalization] = rows*(m.multiply(bits, bits)+m.add(accumulatorBits)) + float64(w.RowBits)*m.read(column.Weights.Words)
	case stepgraph.Add:
		parts[arithmetic] = rows * m.add(accumulatorBits)
	case stepgraph.Mul:
		parts[arithmetic] = rows * m.multiply(m.design.ActivationBits, m.design.ActivationBits)
	default: // one entry of a table
		parts[nonlinear] = rows * float64(m.design.ActivationBits) * m.read(m.design.Functions.Words)
	}
	parts[activationMemory] = rows * float64(m.design.ActivationBits) *
		(float64(w.Operands)*m.read(m.design.Activations.Words) + m.write(m.design.Activations.Words))
	parts[clockControl] = rows * accumulatorBits * m.register()
	return parts
}
