package energy

import (
	"fmt"

	"bittern/plugins/backend"
)

// Constants lists the figures of the table in the process, each with what was published for
// which process, and where.
func (c Costs) Constants() []backend.Constant {
	var list []backend.Constant
	for _, r := range c.Table.Rows {
		name, node := r.Quantity, ""
		if r.Words > 0 {
			name = fmt.Sprintf("%s, %d × %d bits", r.Quantity, r.Words, r.Bits)
		}
		source := r.Source
		if r.Process.Node > 0 {
			node = c.Process.String()
			from := fmt.Sprintf("%d nm", r.Process.Node)
			if r.Process.Voltage > 0 {
				from = r.Process.String()
			}
			source = fmt.Sprintf("%g %s at %s: %s", r.Value, r.Unit, from, r.Source)
		}
		list = append(list, backend.Constant{Name: name, Value: c.Scaled(r), Unit: r.Unit, Node: node, Source: source})
	}
	return list
}
