package rtl

import (
	"bufio"
	"bytes"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"bittern/accel/backends/asic/internal/datapath"
)

// compare adds what the testbench wrote of the windows of a graph, set against what the
// simulator computed.
func (r *Result) compare(g *datapath.Graph, graph int, windows []datapath.Window, output []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(output))
	for number, w := range windows {
		r.Windows++
		for step, s := range w.Steps {
			r.Steps++
			check := func(name string, want []int32, width int) error {
				for k, x := range want {
					if !lines.Scan() {
						return fmt.Errorf("the testbench stopped in window %d at step %d: %w", number, step, lines.Err())
					}
					got, err := strconv.ParseInt(lines.Text(), 10, 64)
					if err != nil {
						return fmt.Errorf("the testbench wrote %q in window %d at step %d: %w", lines.Text(), number, step, err)
					}
					r.Bits += int64(width)
					different := bits.OnesCount64(uint64(got^int64(x)) & (1<<width - 1))
					r.Mismatches += int64(different)
					if different > 0 && r.First == "" {
						r.First = fmt.Sprintf("graph %d, window %d, step %d, element %d of %s: %d instead of %d", graph, number, step, k, name, got, x)
					}
				}
				return nil
			}
			for n, state := range s.States {
				if err := check(fmt.Sprintf("state %d", n), state, datapath.ActivationBits); err != nil {
					return err
				}
			}
			if err := check("the output", s.Output, g.OutputBits()); err != nil {
				return err
			}
		}
	}
	if !lines.Scan() {
		return fmt.Errorf("the testbench told no cycles: %w", lines.Err())
	}
	text, ok := strings.CutPrefix(lines.Text(), "cycles ")
	cycles, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil {
		return fmt.Errorf("the testbench wrote %q in place of its cycles", lines.Text())
	}
	r.Cycles += cycles
	return nil
}
