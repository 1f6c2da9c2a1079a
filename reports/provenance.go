package reports

import (
	"fmt"
	"strings"

	"bittern/harness/provenance"
	"bittern/reports/table"
)

// machineLine says in Markdown which program it was on what system.
func machineLine(m provenance.Machine) (commit, system, cpu string) {
	commit = table.Text(m.Commit)
	if m.Modified {
		commit += " with changes"
	}
	return commit, table.Text(m.Go + " " + m.OS + "/" + m.Arch), table.Text(m.CPU)
}

// String says in a line of Markdown what the figures were measured with.
func (p Provenance) String() string {
	commit, system, cpu := machineLine(p.Machine)
	data := fmt.Sprintf("%s (SHA-256 %s)", table.Text(p.Corpus), table.Text(p.SHA256))
	if p.Synthetic {
		data += ", SYNTHETIC"
	}
	if p.Note != "" {
		data += ", " + table.Text(p.Note)
	}
	overhead := "n/a: not measured"
	if len(p.Overheads) > 0 {
		var runs []string
		for _, o := range p.Overheads {
			runs = append(runs, fmt.Sprintf("%.3f ms (median of n=%d)", o.Seconds*1e3, o.N))
		}
		overhead = strings.Join(runs, ", ")
	}
	return fmt.Sprintf("%d experiments, seeds %s, trained for %s steps, measured at commit %s, %s, %d threads of %d cores, %s; data %s; a training step on the null plugins: %s",
		p.Experiments, list(p.Seeds), list(p.Steps), commit, system, p.Threads, p.Cores, cpu, data, overhead)
}

// String says in a line of Markdown what deployments were computed with.
func (d DeployedMachines) String() string {
	commit, system, cpu := machineLine(d.Machine)
	return fmt.Sprintf("%d deployments (%s) computed at commit %s, %s, %d cores, %s",
		d.Deployments, table.Text(strings.Join(d.Backends, ", ")), commit, system, d.Cores, cpu)
}

func list[T any](items []T) string {
	var texts []string
	for _, item := range items {
		texts = append(texts, fmt.Sprint(item))
	}
	return strings.Join(texts, ", ")
}

// String says in a line of Markdown what became of an experiment without a result.
func (u Unfinished) String() string {
	where := ""
	if u.Backend != "" {
		where = " on " + table.Text(u.Backend)
	}
	reason := ""
	if u.Reason != "" {
		reason = ": " + table.Text(u.Reason)
	}
	return fmt.Sprintf("%s: %s / %s / %s, seed %d%s%s", u.Status, table.Text(u.Task), table.Text(u.Model), table.Text(u.Quantizer), u.Seed, where, reason)
}
