package rtl

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// netlist is a module of standard cells as Yosys writes it in JSON.
type netlist struct {
	ports []port
	cells []cell
}

type port struct {
	name  string
	input bool
	bits  []bit
}

type cell struct {
	kind string
	pins []pin
}

type pin struct {
	name   string
	output bool
	bit    bit
}

// bit is the number of a net, or a constant in quotation marks.
type bit string

func (b *bit) UnmarshalJSON(text []byte) error {
	*b = bit(text)
	return nil
}

// net returns the name of a net; "" of a constant.
func (b bit) net() string {
	if strings.HasPrefix(string(b), `"`) {
		return ""
	}
	return "n" + string(b)
}

// verilog is the bit as an expression.
func (b bit) verilog() string {
	if net := b.net(); net != "" {
		return net
	}
	if b == `"1"` {
		return "1'b1"
	}
	return "1'b0" // what may be anything is 0
}

// parseNetlist reads the module named unit. Ports and cells are in the order of their names.
func parseNetlist(text []byte) (n netlist, err error) {
	var file struct {
		Modules map[string]struct {
			Ports map[string]struct {
				Direction string
				Bits      []bit
			}
			Cells map[string]struct {
				Type        string
				Directions  map[string]string `json:"port_directions"`
				Connections map[string][]bit
			}
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return n, err
	}
	m, ok := file.Modules["unit"]
	if !ok {
		return n, errors.New("there is no module named unit")
	}
	for _, name := range slices.Sorted(maps.Keys(m.Ports)) {
		p := m.Ports[name]
		n.ports = append(n.ports, port{name, p.Direction == "input", p.Bits})
	}
	for _, name := range slices.Sorted(maps.Keys(m.Cells)) {
		from := m.Cells[name]
		c := cell{kind: from.Type}
		for _, name := range slices.Sorted(maps.Keys(from.Connections)) {
			bits, direction := from.Connections[name], from.Directions[name]
			if len(bits) != 1 || direction == "" {
				return n, fmt.Errorf("the pin %s of a %s is no pin of a standard cell", name, from.Type)
			}
			c.pins = append(c.pins, pin{name, direction == "output", bits[0]})
		}
		n.cells = append(n.cells, c)
	}
	return n, nil
}

// verilog is the module gates: its ports are those of the unit bit by bit, named as the
// nets are, and its cells are named c0, c1 and so on.
func (n netlist) verilog() string {
	var names, ports, cells []string
	declared := map[string]bool{}
	for _, p := range n.ports {
		direction := "output"
		if p.input {
			direction = "input"
		}
		for _, b := range p.bits {
			if net := b.net(); net != "" && !declared[net] {
				declared[net] = true
				names = append(names, net)
				ports = append(ports, fmt.Sprintf("  %s %s;\n", direction, net))
			}
		}
	}
	for number, c := range n.cells {
		var pins []string
		for _, p := range c.pins {
			pins = append(pins, fmt.Sprintf(".%s(%s)", p.name, p.bit.verilog()))
			if net := p.bit.net(); net != "" && !declared[net] {
				declared[net] = true
				ports = append(ports, fmt.Sprintf("  wire %s;\n", net))
			}
		}
		cells = append(cells, fmt.Sprintf("  %s c%d (%s);\n", c.kind, number, strings.Join(pins, ", ")))
	}
	return fmt.Sprintf("module gates (%s);\n%s%sendmodule\n", strings.Join(names, ", "), strings.Join(ports, ""), strings.Join(cells, ""))
}

// bench is what the testbench includes: the module gates with its ports connected to
// variables of the names of the unit's ports, and all nets that cells drive as one vector.
func (n netlist) bench() string {
	var ports []string
	connected := map[string]bool{}
	for _, p := range n.ports {
		for i, b := range p.bits {
			net := b.net()
			if net == "" || connected[net] {
				continue
			}
			connected[net] = true
			at := p.name
			if len(p.bits) > 1 {
				at = fmt.Sprintf("%s[%d]", p.name, i)
			}
			ports = append(ports, fmt.Sprintf("    .%s(%s)", net, at))
		}
	}
	driven := n.driven()
	lines := make([]string, len(driven))
	for i, net := range driven {
		lines[len(driven)-1-i] = "    netlist." + net
	}
	return fmt.Sprintf("  gates netlist (\n%s\n  );\n  assign nets = {\n%s\n  };\n", strings.Join(ports, ",\n"), strings.Join(lines, ",\n"))
}

// driven are the nets that cells drive.
func (n netlist) driven() []string {
	var all []string
	for _, c := range n.cells {
		for _, p := range c.pins {
			if net := p.bit.net(); p.output && net != "" {
				all = append(all, net)
			}
		}
	}
	return all
}
