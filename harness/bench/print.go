package bench

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"

	"bittern/accel/kernels/isa"
	"bittern/reports/table"
)

// WriteTable writes the result as a Markdown table, with a row for each comparison, and below it
// says how to read it and what barriers took.
func (r *Result) WriteTable(w io.Writer) error {
	t := table.New("what", "ours", "compared with", "its median", "n", "ratio", "95 % interval", "goal", "outcome")
	t.AlignRight(1, 3, 4, 5, 6)
	for _, line := range r.lines() {
		for _, c := range line.Compare(r.goals()) {
			if err := t.Append(row(line, c)...); err != nil {
				return err
			}
		}
	}
	if err := t.Write(w); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "\n%s\n", r.legend()); err != nil {
		return err
	}
	return r.writeBarriers(w)
}

// writeBarriers writes what barriers took in the rounds of the lines that have them.
func (r *Result) writeBarriers(w io.Writer) error {
	lines := slices.DeleteFunc(r.lines(), func(l Line) bool { return l.Barrier.N() == 0 })
	if len(lines) == 0 {
		return nil
	}
	if _, err := fmt.Fprintf(w, "\n%s\n", aboutBarriers); err != nil {
		return err
	}
	t := table.New("what", "a barrier", "least", "most", "n")
	t.AlignRight(1, 2, 3, 4)
	for _, line := range lines {
		s := line.Barrier
		if err := t.Append(line.Name, quantity(s.Median(), Seconds), quantity(slices.Min(s.Values), Seconds),
			quantity(slices.Max(s.Values), Seconds), fmt.Sprint(s.N())); err != nil {
			return err
		}
	}
	return t.Write(w)
}

const aboutBarriers = `A barrier of the workers was timed in every round of a training step. On cores that share a cache it is
short. Where a system, or the host of a virtual machine, has moved the workers to cores that do not, it takes
several times as long, and so does writing what another worker has read.
`

func row(line Line, c Comparison) []string {
	cells := []string{line.Name, "n/a", c.Against, "n/a", "0", "n/a", "n/a", "none", string(c.Outcome)}
	if line.Ours.N() > 0 {
		cells[1] = quantity(line.Ours.Median(), line.Unit)
	}
	if c.Goal != nil {
		cells[7] = c.Goal.text(line.Unit)
	}
	switch {
	case c.Reason != "":
		cells[8] = "n/a: " + c.Reason
		if c.Against == "" {
			cells[2], cells[3], cells[5] = "–", "–", "–"
		}
		return cells
	case c.Against == "":
		cells[2], cells[3], cells[5] = "–", "–", "–"
	default:
		other := line.Others[c.Against]
		cells[2], cells[3] = other.Who, quantity(other.Median(), line.Unit)
		cells[5] = ratio(c.Median)
	}
	cells[4], cells[6] = fmt.Sprint(c.N), bounds(c, line.Unit)
	return cells
}

// interval writes a median with its interval.
func interval(c Comparison, unit Unit) string {
	if c.Against == "" {
		return fmt.Sprintf("%s (%s)", quantity(c.Median, unit), bounds(c, unit))
	}
	return fmt.Sprintf("%s (%s) against %s", ratio(c.Median), bounds(c, unit), c.Against)
}

func bounds(c Comparison, unit Unit) string {
	switch {
	case !c.Bounded():
		return "n/a"
	case c.Against == "":
		return quantity(c.Low, unit) + " – " + quantity(c.High, unit)
	}
	return ratio(c.Low) + " – " + ratio(c.High)
}

// ratio writes a ratio with two decimals, a small one with four.
func ratio(value float64) string {
	if value < 0.1 {
		return fmt.Sprintf("%.4f", value)
	}
	return fmt.Sprintf("%.2f", value)
}

// quantity writes a value in a suitable unit.
func quantity(value float64, unit Unit) string {
	switch {
	case unit == Bytes:
		return fmt.Sprintf("%.0f MB", value/1e6)
	case value < 1e-6:
		return fmt.Sprintf("%.4g ns", value*1e9)
	case value < 1e-3:
		return fmt.Sprintf("%.4g µs", value*1e6)
	case value < 1:
		return fmt.Sprintf("%.4g ms", value*1e3)
	}
	return fmt.Sprintf("%.4g s", value)
}

// legend says how to read the table, and for which processors the goals are.
func (r *Result) legend() string {
	text := `A ratio is the median over n rounds, in each of which everything in question was measured once, in
turn: how many times as fast ours is, or against the floor, gonum and our own LSTM how many times
their time ours takes. The floor is the matrix products of the step alone, by our kernels or by
OpenBLAS, whichever is faster. A goal is reached or missed if the whole interval is; with ~ these runs
cannot tell. An interval needs 6 rounds.
`
	class, reason := classify(r.Processor)
	if class == "" {
		var names []string
		for _, c := range classes {
			names = append(names, fmt.Sprintf("%s (%s)", c.name, c.about))
		}
		return text + fmt.Sprintf("Nothing is judged: %s. The classes with goals are %s.", reason, strings.Join(names, ", "))
	}
	at := slices.IndexFunc(classes, func(c classOfProcessors) bool { return c.name == class })
	return text + fmt.Sprintf("Goals are those of the class %s: %s.", class, classes[at].about)
}

// describe names a processor in words.
func describe(p isa.Processor) string {
	text := p.Name
	if p.Microarchitecture != "" {
		text += ", " + p.Microarchitecture
	}
	text += fmt.Sprintf(" (%s family %d model %d stepping %d)", p.Vendor, p.Family, p.Model, p.Stepping)
	if p.Virtual {
		text += ", in a virtual machine"
	}
	return text
}

// WriteBenchmark writes every value as a line in Go's benchmark format, which benchstat reads.
func (r *Result) WriteBenchmark(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: bittern\ncpu: %s\n", runtime.GOOS, r.Processor.Arch, r.Processor.Name); err != nil {
		return err
	}
	for _, line := range r.lines() {
		samples := map[string]Sample{"ours": line.Ours}
		names := append([]string{"ours"}, slices.Sorted(maps.Keys(line.Others))...)
		maps.Copy(samples, line.Others)
		for _, name := range names {
			for _, value := range samples[name].Values {
				figure := fmt.Sprintf("%.0f ns/op", value*1e9)
				if line.Unit == Bytes {
					figure = fmt.Sprintf("%.0f peak-bytes", value)
				}
				if _, err := fmt.Fprintf(w, "Benchmark%s/by=%s 1 %s\n", line.Name, strings.ReplaceAll(name, " ", "-"), figure); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
