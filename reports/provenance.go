package reports

import (
	"fmt"
	"strings"
)

// String says in a line what the figures were measured with.
func (p Provenance) String() string {
	commit := p.Commit
	if p.Modified {
		commit += " with changes"
	}
	data := fmt.Sprintf("%s (SHA-256 %s)", p.Corpus, p.SHA256)
	if p.Synthetic {
		data += ", SYNTHETIC"
	}
	if p.Note != "" {
		data += ", " + p.Note
	}
	overhead := "n/a: not measured"
	if len(p.Overheads) > 0 {
		var runs []string
		for _, o := range p.Overheads {
			runs = append(runs, fmt.Sprintf("%.3f ms (median of n=%d)", o.Seconds*1e3, o.N))
		}
		overhead = strings.Join(runs, ", ")
	}
	return fmt.Sprintf("%d experiments, seeds %s, trained for %s steps, measured at commit %s, %s %s/%s, %d threads of %d cores, %s; data %s; a training step on the null plugins: %s",
		p.Experiments, list(p.Seeds), list(p.Steps), commit, p.Go, p.OS, p.Arch, p.Threads, p.Cores, p.CPU, data, overhead)
}

func list[T any](numbers []T) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ", "), "[]")
}

// String says in a line what became of an experiment without a result.
func (u Unfinished) String() string {
	where := ""
	if u.Backend != "" {
		where = " on " + u.Backend
	}
	reason := ""
	if u.Reason != "" {
		reason = ": " + u.Reason
	}
	return fmt.Sprintf("%s: %s / %s / %s, seed %d%s%s", u.Status, u.Task, u.Model, u.Quantizer, u.Seed, where, reason)
}
