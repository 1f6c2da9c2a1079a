package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bittern/harness/provenance"
)

// machineLine returns which program it was, on which system and processor.
func machineLine(m provenance.Machine) (commit, system, cpu string) {
	commit = m.Commit
	if m.Modified {
		commit += " with changes"
	}
	return commit, m.Go + " " + m.OS + "/" + m.Arch, m.CPU
}

// remarks returns what a reader must know of the data, each remark after a comma.
func (p Provenance) remarks() string {
	remarks := ""
	if p.Synthetic {
		remarks += ", SYNTHETIC"
	}
	if p.Note != "" {
		remarks += ", " + p.Note
	}
	return remarks
}

// String says in a line what the figures were measured with.
func (p Provenance) String() string {
	commit, system, cpu := machineLine(p.Machine)
	overhead := "n/a: not measured"
	if len(p.Overheads) > 0 {
		var runs []string
		for _, o := range p.Overheads {
			runs = append(runs, fmt.Sprintf("%.3f ms (median of n=%d)", o.Seconds*1e3, o.N))
		}
		overhead = strings.Join(runs, ", ")
	}
	return fmt.Sprintf("%d experiments, seeds %s, trained for %s steps with products of %s, measured at commit %s, %s, %d threads of %d cores, %s; data %s (SHA-256 %s)%s; a training step on the null plugins: %s",
		p.Experiments, list(p.Seeds), list(p.Steps), p.Arithmetic, commit, system, p.Threads, p.Cores, cpu, p.Data, p.SHA256, p.remarks(), overhead)
}

// String says in a line what deployments were computed with.
func (d DeployedMachines) String() string {
	commit, system, cpu := machineLine(d.Machine)
	return fmt.Sprintf("%d deployments (%s) computed at commit %s, %s, %d cores, %s",
		d.Deployments, strings.Join(d.Backends, ", "), commit, system, d.Cores, cpu)
}

// String says in a line how far a sitting came.
func (s Sitting) String() string {
	ended := "not noted"
	if !s.Ended.IsZero() {
		ended = s.Ended.Format(time.DateTime)
	}
	on := ""
	if s.Host != "" {
		on = ", on " + s.Host
	}
	return fmt.Sprintf("experiment %s, steps %d to %d, began %s, ended %s%s", s.Experiment, s.From, s.To, s.Started.Format(time.DateTime), ended, on)
}

func list[T any](items []T) string {
	var texts []string
	for _, item := range items {
		texts = append(texts, fmt.Sprint(item))
	}
	return strings.Join(texts, ", ")
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

// provenance returns the folded part of a report: how the networks were trained, frozen and
// deployed.
func (r *Report) provenance() []Item {
	var items []Item
	for _, p := range r.Provenance {
		i := Item{Text: p.String()}
		for _, s := range p.Sittings {
			i.Below = append(i.Below, s.String())
		}
		items = append(items, i)
	}
	for _, d := range r.Deployed {
		items = append(items, Item{Text: d.String()})
	}
	return append(append(items, r.freezes()...), r.backendNotes()...)
}

// freezes says how many sequences the frozen statistics were gathered over, and how the draws
// of each network with more than one draw scored.
func (r *Report) freezes() []Item {
	var items []Item
	var calibrated []uint64
	draws := Item{Text: "the draws of a network's weights, mean ± sd of their test scores in the model itself; deployed is the one that validated best"}
	last := ""
	for _, e := range r.Experiments {
		if e.CalibrationSequences > 0 {
			calibrated = insert(calibrated, uint64(e.CalibrationSequences))
		}
		if len(e.Draws) < 2 {
			continue
		}
		text := fmt.Sprintf("seed %d %.4f ± %.4f (n=%d", e.Seed, *e.Drawn.Mean, *e.Drawn.Std, e.Drawn.N)
		for _, draw := range e.Draws {
			if draw.Deployed {
				text += fmt.Sprintf(", deployed %.4f", draw.Test)
			}
		}
		name := fmt.Sprintf("%s / %s / %s: ", e.Task, e.ModelName(), e.Quantizer)
		if name == last {
			draws.Below[len(draws.Below)-1] += "; " + text + ")"
			continue
		}
		draws.Below, last = append(draws.Below, name+text+")"), name
	}
	if len(calibrated) > 0 {
		items = append(items, Item{Text: fmt.Sprintf("frozen statistics are gathered over %s training sequences", list(calibrated))})
	}
	if len(draws.Below) > 0 {
		items = append(items, draws)
	}
	return items
}

// backendNotes returns what backends say of single networks.
func (r *Report) backendNotes() []Item {
	var items []Item
	lines := machineLines(r)
	for _, l := range lines {
		common := commonNotes(lines, l.machine.Backend)
		for _, note := range l.machine.Notes {
			if slices.Contains(common, note) {
				continue
			}
			text := fmt.Sprintf("%s: %s", l.machine.Backend, note)
			at := slices.IndexFunc(items, func(i Item) bool { return i.Text == text })
			if at < 0 {
				at = len(items)
				items = append(items, Item{Text: text})
			}
			items[at].Below = append(items[at].Below, fmt.Sprintf("%s / %s / %s", l.Task, l.ModelName(), l.Quantizer))
		}
	}
	return items
}
