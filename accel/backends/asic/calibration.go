package asic

import (
	"bytes"
	"embed"
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/mat"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/accel/backends/internal/energy"
	"bittern/plugins/backend"
)

// The option for the calibration, and its choices.
const (
	calibrationOption = "calibration"
	fitted            = "fitted"
	bottomUp          = "none"
)

//go:embed calibration/*.csv
var calibrationFiles embed.FS

// records returns the rows of a file in the folder calibration, without the header.
func records(name string) [][]string {
	content, err := calibrationFiles.ReadFile("calibration/" + name)
	if err != nil {
		panic(err) // the file is part of the executable
	}
	all, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		panic(fmt.Sprintf("asic: %s: %v", name, err))
	}
	return all[1:]
}

func number(text string) float64 {
	if text == "" {
		return 0
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("asic: calibration: %v", err))
	}
	return value
}

// factorsOf returns the stored factors of a table. They are those that fit finds.
func factorsOf(table string) factors {
	for _, r := range records("factors.csv") {
		if r[0] == table {
			return factors{number(r[1]), number(r[2]), number(r[3]), number(r[4])}
		}
	}
	panic("asic: no calibration of the table " + table)
}

func (f factors) String() string {
	if f == uncalibrated {
		return "not calibrated"
	}
	return fmt.Sprintf("calibrated: memories × %g, arithmetic and registers × %g; areas × %g and × %g", f.Memory, f.Logic, f.MemoryArea, f.LogicArea)
}

// point is a machine with published figures.
type point struct {
	name   string
	source string
	fit    bool // it takes part in the fit
	design Design
	column Column
	width  datapath.Width
}

// points lists the paper's five designs, which take part in the fit, and chips that do not.
func points() []point {
	var all []point
	for _, name := range designNames() {
		d, err := load(name)
		if err != nil {
			panic(fmt.Sprintf("asic: design %s: %v", name, err)) // it is part of the executable
		}
		for _, w := range widths {
			c := d.column(w)
			again := slices.ContainsFunc(all, func(p point) bool { return p.width == w && p.column.Units == c.Units })
			if c.Published != nil && !again { // both speeds have the same 12-bit column
				all = append(all, point{fmt.Sprintf("%s, %s", name, w), d.Source, true, d, c, w})
			}
		}
	}
	for _, r := range records("chips.csv") {
		units, weight, activation := int(number(r[4])), int(number(r[5])), int(number(r[6]))
		kilobytes, words := number(r[8]), int(number(r[9]))
		// A bank gives one weight a cycle; there are as many as hold what the chip's memory holds.
		banks := int(kilobytes * 8000 / float64(words*weight))
		all = append(all, point{
			name: r[0], source: r[12],
			design: Design{
				Node: int(number(r[1])), Voltage: number(r[2]), ClockMHz: number(r[3]), ActivationBits: activation,
				Activations: Memory{Words: 512, Banks: 1, PortBits: activation},
			},
			column: Column{
				Units: units, AccumulatorBits: int(number(r[7])),
				Weights:   Memory{Words: words, Banks: max(banks, units), PortBits: weight},
				Published: &Published{Power: number(r[10]), Area: number(r[11])},
			},
			width: datapath.Width(weight),
		})
	}
	return all
}

// model returns the model of the machine with the figures of a table and some factors.
func (p point) model(table *energy.Table, f factors) model {
	return model{p.design, table.In(p.design.process()), f}
}

// figures returns the modelled power in watts and area in mm².
func (p point) figures(table *energy.Table, f factors) (watts, area float64) {
	m := p.model(table, f)
	units, memory := m.columnArea(p.column, p.width)
	return sum(m.power(p.column, p.width)), units + memory
}

// fit finds the factors of a table: those with the smallest sum of the squares of the
// relative errors, over the points that take part.
func fit(table *energy.Table) (factors, error) {
	var powers, areas, ones []float64
	for _, p := range points() {
		if !p.fit {
			continue
		}
		m, published := p.model(table, uncalibrated), p.column.Published
		parts := m.power(p.column, p.width)
		watts := published.Power/1e3 - parts[leakage] // leakage is not multiplied by a factor
		powers = append(powers, (parts[weightMemory]+parts[activationMemory])/watts, (parts[arithmetic]+parts[clockControl])/watts)
		units, memory := m.columnArea(p.column, p.width)
		areas = append(areas, memory/published.Area, units/published.Area)
		ones = append(ones, 1)
	}
	var power, area mat.VecDense
	right := mat.NewVecDense(len(ones), ones)
	if err := power.SolveVec(mat.NewDense(len(ones), 2, powers), right); err != nil {
		return factors{}, fmt.Errorf("fit the power: %w", err)
	}
	if err := area.SolveVec(mat.NewDense(len(ones), 2, areas), right); err != nil {
		return factors{}, fmt.Errorf("fit the area: %w", err)
	}
	return factors{power.AtVec(0), power.AtVec(1), area.AtVec(0), area.AtVec(1)}, nil
}

// residuals sets what is published of every point beside what the model says, without and with
// the fitted factors.
func residuals(table *energy.Table) []backend.Residual {
	var list []backend.Residual
	for _, p := range points() {
		unfittedWatts, unfittedArea := p.figures(table, uncalibrated)
		watts, area := p.figures(table, factorsOf(table.Name))
		published := p.column.Published
		add := func(quantity, unit string, published, unfitted, fitted float64) {
			list = append(list, backend.Residual{
				Machine: p.name, Quantity: quantity, Unit: unit, Published: published,
				BottomUp: unfitted, Fitted: fitted, InFit: p.fit, Source: p.source,
			})
		}
		if p.fit {
			throughput := p.design.throughput(p.width) / 1e9
			add("throughput", "GOps/s", published.Throughput, throughput, throughput)
		}
		add("power", "mW", published.Power, unfittedWatts*1e3, watts*1e3)
		if published.Area > 0 {
			add("area", "mm²", published.Area, unfittedArea, area)
		}
	}
	return list
}

// sum adds parts up in the order of their names, so that the result is always the same to the bit.
func sum(parts map[string]float64) float64 {
	total := 0.0
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		total += parts[name]
	}
	return total
}
