package asic

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/accel/backends/internal/energy"
	"bittern/plugins"
)

// Parse reads a design file. A mistake in it is a *plugins.Problem with the line, the key and its
// bounds.
func Parse(text string) (Design, error) {
	var d Design
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return d, plugins.Problemf("design file, %s", readable(err))
	}
	if document.Kind == 0 || document.Content[0].Kind != yaml.MappingNode {
		return d, plugins.Problemf("design file, line 1: it must be keys with values, such as clock_mhz: 400")
	}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&d); err != nil && !errors.Is(err, io.EOF) {
		return d, plugins.Problemf("design file, %s", readable(err))
	}
	if f := d.check(); f != nil {
		line, found := lineOf(document.Content[0], strings.Split(f.key, "."))
		if !found {
			return d, plugins.Problemf("design file, line %d: %s is missing; it must be %s", line, f.key, f.allowed)
		}
		return d, plugins.Problemf("design file, line %d: %s must be %s, not %s", line, f.key, f.allowed, f.value)
	}
	return d, nil
}

// readable returns an error of the YAML reader as the end of a sentence.
func readable(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	text = strings.TrimPrefix(strings.TrimPrefix(text, "yaml: "), "unmarshal errors: ")
	if text, known, ok := strings.Cut(text, " not found in type asic."); ok {
		line, key, _ := strings.Cut(text, ": field ")
		name, _, _ := strings.Cut(known, " ")
		return fmt.Sprintf("%s: there is no key %s%s", line, key, keysOf(name, key))
	}
	return text
}

// keysOf lists the keys of a part of a design, given the name of its type, and suggests one for a
// wrong key.
func keysOf(part, wrong string) string {
	keys := map[string][]string{
		"Design":  {"name", "summary", "source", "assumed", "node", "voltage", "clock_mhz", "activation_bits", "lanes", "overlap", "activations", "functions", "columns", "root", "dram"},
		"Columns": {"binary", "ternary", "twelve_bit"}, "Column": {"units", "accumulator_bits", "weights", "published"},
		"Memory": {"words", "banks", "port_bits"}, "Functions": {"words"}, "Root": {"cycles"},
		"Published": {"gops", "area_mm2", "power_mw"}, "DRAM": {"type", "bits_per_cycle"},
	}[part]
	return plugins.DidYouMean(wrong, keys) + "; there are " + strings.Join(keys, ", ")
}

// lineOf returns the line of a key; if the key is missing, the line of the part that should have
// it.
func lineOf(node *yaml.Node, path []string) (line int, found bool) {
	for i := 0; i < len(node.Content)-1; i += 2 {
		if key, value := node.Content[i], node.Content[i+1]; key.Value == path[0] {
			if len(path) == 1 {
				return key.Line, true
			}
			return lineOf(value, path[1:])
		}
	}
	return node.Line, false
}

// fault is a key with a value that no machine can have.
type fault struct{ key, allowed, value string }

// check returns the first fault of a design, nil if there is none.
func (d Design) check() *fault {
	var list []fault
	refuse := func(key, allowed string, value any) { list = append(list, fault{key, allowed, fmt.Sprint(value)}) }
	number := func(key string, value, low, high float64) {
		if !(value >= low && value <= high) {
			refuse(key, fmt.Sprintf("between %s and %s", plain(low), plain(high)), plain(value))
		}
	}
	memory := func(key string, m Memory, row int, what string) {
		number(key+".banks", float64(m.Banks), 1, 1<<12)
		number(key+".port_bits", float64(m.PortBits), 1, 1<<16)
		number(key+".words", float64(m.Words), 1, 1<<24)
		if m.bits() > 0 && m.bits() < float64(row) {
			refuse(key+".words", fmt.Sprintf("between %d and %d to hold %s of %d bits", ceil(row, m.perCycle()), 1<<24, what, row), m.Words)
		}
	}
	if !plugins.ValidName(d.Name) {
		refuse("name", "lower-case letters and digits, words set off by single hyphens", strconv.Quote(d.Name))
	}
	for _, key := range d.Assumed {
		if !slices.Contains(assumable, key) {
			refuse("assumed", "a list of "+strings.Join(assumable, ", "), strconv.Quote(key))
		}
	}
	if !slices.Contains(energy.Nodes(), d.Node) {
		refuse("node", "one of "+strings.Trim(fmt.Sprint(energy.Nodes()), "[]")+" (nm)", d.Node)
	}
	number("voltage", d.Voltage, energy.LowestVoltage, energy.HighestVoltage)
	number("clock_mhz", d.ClockMHz, 0.001, 10_000)
	if d.ActivationBits != datapath.ActivationBits {
		refuse("activation_bits", fmt.Sprintf("%d, the width that the arithmetic of this machine is fixed at", datapath.ActivationBits), d.ActivationBits)
	}
	number("lanes", float64(d.Lanes), 1, 1<<16)
	for _, what := range d.Overlap {
		if what != overlapLanes && what != overlapLayers {
			refuse("overlap", "a list of "+overlapLanes+" and "+overlapLayers, strconv.Quote(what))
		}
	}
	memory("activations", d.Activations, d.ActivationBits, "one activation")
	number("functions.words", float64(d.Functions.Words), 2, 4096)
	for _, w := range widths {
		c, key := d.column(w), "columns."+w.Key()
		number(key+".units", float64(c.Units), 1, 1<<16)
		number(key+".accumulator_bits", float64(c.AccumulatorBits), float64(datapath.ActivationBits), 64)
		memory(key+".weights", c.Weights, c.Units*int(w), "one row")
		if c.Published != nil {
			number(key+".published.gops", c.Published.Throughput, 1e-6, 1e9)
			number(key+".published.area_mm2", c.Published.Area, 1e-6, 1e6)
			number(key+".published.power_mw", c.Published.Power, 1e-6, 1e6)
		}
	}
	if d.Root != nil {
		number("root.cycles", float64(d.Root.Cycles), 1, 1<<10)
	}
	if d.DRAM != nil {
		if !slices.Contains(energy.DRAMs(), d.DRAM.Type) {
			refuse("dram.type", "one of "+strings.Join(energy.DRAMs(), ", "), strconv.Quote(d.DRAM.Type))
		}
		number("dram.bits_per_cycle", float64(d.DRAM.BitsPerCycle), 1, 1<<16)
	}
	if len(list) == 0 {
		return nil
	}
	return &list[0]
}

// assumable are the keys that a design may list as assumed. units, accumulator_bits and weights
// stand for those of all columns.
var assumable = []string{"node", "voltage", "clock_mhz", "lanes", "overlap", "activations", "functions", "units", "accumulator_bits", "weights", "root", "dram"}

func plain(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }
