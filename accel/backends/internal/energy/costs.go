package energy

import (
	"math"
	"slices"
	"strings"
)

// Costs are the figures of a table, scaled to a process.
type Costs struct {
	Table   *Table
	Process Process
}

// In returns the figures in a process, which must pass [Process.Check].
func (t *Table) In(p Process) Costs { return Costs{t, p} }

// scaled is a figure in the process, in J, W or mm².
func (c Costs) scaled(r Row) float64 { return c.Scaled(r) * units[r.Unit] }

// Scaled is a figure in the process, in its own unit. A figure of no node stays as it is.
func (c Costs) Scaled(r Row) float64 {
	switch {
	case r.Process.Node == 0:
		return r.Value
	case r.Process.Voltage == 0:
		return r.Value * ScaleArea(r.Process.Node, c.Process.Node)
	}
	return r.Value * Scale(r.Process, c.Process)
}

func (c Costs) one(quantity string) float64 { return c.scaled(c.Table.rows(quantity)[0]) }

// product is a quantity with two terms: one grows with the product of two widths, the other
// with the larger of them.
func (c Costs) product(quantity string, a, b int) float64 {
	sum := 0.0
	for _, r := range c.Table.rows(quantity) {
		if strings.HasSuffix(r.Unit, "²") && r.Unit != "µm²" {
			sum += c.scaled(r) * float64(a*b)
		} else {
			sum += c.scaled(r) * float64(max(a, b))
		}
	}
	return sum
}

// Multiply is the energy of a product of whole numbers of a and b bits, in joules.
func (c Costs) Multiply(a, b int) float64 { return c.product(multiply, a, b) }

// Add is the energy of a sum of so many bits, in joules.
func (c Costs) Add(bits int) float64 { return c.one(add) * float64(bits) }

// FloatMultiply is the energy of a product of two float32 numbers, in joules.
func (c Costs) FloatMultiply() float64 { return c.one(floatMultiply) }

// FloatAdd is the energy of a sum of two float32 numbers, in joules.
func (c Costs) FloatAdd() float64 { return c.one(floatAdd) }

// Register is the energy that a bit of a register takes in a clock cycle, in joules.
func (c Costs) Register() float64 { return c.one(register) }

// Read is the energy of reading a bit from a memory with so many words, in joules.
func (c Costs) Read(words int) float64 { return c.perBit(sramRead, words) }

// Write is the energy of writing a bit, see [Costs.Read].
func (c Costs) Write(words int) float64 { return c.perBit(sramWrite, words) }

// perBit interpolates a quantity for each bit between the memories of the table, straight on
// logarithmic scales of words and of the quantity. A memory that is smaller or larger than
// all of them has the figure of the nearest. Memories with the same number of words count as
// one, with their geometric mean.
func (c Costs) perBit(quantity string, words int) float64 {
	type point struct{ x, y, n float64 }
	var points []point
	for _, r := range c.Table.rows(quantity) {
		y := c.scaled(r)
		if r.Unit == "pJ" {
			y /= float64(r.Bits)
		}
		x := math.Log(float64(r.Words))
		if at := slices.IndexFunc(points, func(p point) bool { return p.x == x }); at >= 0 {
			points[at].y += math.Log(y)
			points[at].n++
			continue
		}
		points = append(points, point{x, math.Log(y), 1})
	}
	slices.SortFunc(points, func(a, b point) int { return int(math.Copysign(1, a.x-b.x)) })
	for i := range points {
		points[i].y /= points[i].n
	}
	x := math.Log(float64(words))
	first, last := points[0], points[len(points)-1]
	switch {
	case x <= first.x:
		return math.Exp(first.y)
	case x >= last.x:
		return math.Exp(last.y)
	}
	i := slices.IndexFunc(points, func(p point) bool { return p.x > x })
	a, b := points[i-1], points[i]
	return math.Exp(a.y + (b.y-a.y)*(x-a.x)/(b.x-a.x))
}

// SRAMArea is the area of a bit of a memory with so many words, in mm².
func (c Costs) SRAMArea(words int) float64 { return c.perBit(sramArea, words) }

// MultiplierArea is the area of a multiplier of a by b bits, in mm².
func (c Costs) MultiplierArea(a, b int) float64 { return c.product(multiplierArea, a, b) }

// AdderArea is the area of an adder of so many bits, in mm².
func (c Costs) AdderArea(bits int) float64 { return c.one(adderArea) * float64(bits) }

// RegisterArea is the area of so many bits of registers, in mm².
func (c Costs) RegisterArea(bits int) float64 { return c.one(registerArea) * float64(bits) }

// SRAMLeakage is the power that so many bits of memory leak, in watts.
func (c Costs) SRAMLeakage(bits float64) float64 { return c.one(sramLeakage) * bits }

// LogicLeakage is the power that logic of an area in mm² leaks, in watts.
func (c Costs) LogicLeakage(area float64) float64 { return c.one(logicLeakage) * area * 1e6 }

// DRAM is the energy of moving a bit between the chip and a memory of one of the types
// [DRAMs], in joules.
func (c Costs) DRAM(kind string) float64 { return c.one(dram + kind) }
