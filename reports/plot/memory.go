package plot

import (
	"fmt"

	"bittern/baselines/published"
	"bittern/plugins"
	"bittern/reports"
)

// memory draws deployable scores against all that is packed, in KB of 1000 bytes.
func memory(r *reports.Report) (figures []Figure, undrawn leftOut) {
	looks := seriesOf(r)
	for _, s := range subjects(r) {
		var marks []mark
		var out leftOut
		for _, n := range s.networks {
			if n.Deployable.Mean == nil {
				out.add(name(n), n.Deployable.Missing)
				continue
			}
			m := newMark(n, n.DeployedBytes/1000, n.Deployable,
				fmt.Sprintf("%s: %s %s, %s KB deployed%s", name(n), plugins.Line(s.metric), figure(n.Deployable, 1), short(n.DeployedBytes/1000), doubted(n.Doubts)))
			for _, p := range n.Published {
				m.published = append(m.published, publishedMark(n, p))
			}
			marks = append(marks, m)
		}
		title := fmt.Sprintf("%s: deployable %s against memory", plugins.Line(s.task), plugins.Line(s.metric))
		if len(marks) == 0 {
			undrawn.add(title, out.reason())
			continue
		}
		plotted := newScatter(marks, s.metric, "KB deployed", looks)
		caption := fmt.Sprintf("Deployable %s against all that is packed, %s.%s",
			direction(s.metric), networks(len(marks)), plotted.caption())
		if hasPublished(marks) {
			caption += " A rhombus is a published score, joined to our network of the same setting; one whose source does not print the size of the whole deployment stands at the memory of ours."
		}
		figures = append(figures, Figure{
			ID: s.task + "-" + s.metric, Title: title, Caption: caption + out.sentence(),
			chart: plotted.chart("KB deployed", "deployable "+direction(s.metric), ratios(s.metric)),
		})
	}
	return figures, undrawn
}

// publishedMark places what was published of a network.
func publishedMark(n *reports.Network, p published.Result) publishedValue {
	mark := publishedValue{cost: n.DeployedBytes / 1000, score: p.Value}
	size := "no size of the whole deployment is published"
	if p.SizeConvention == published.Deployed && p.SizeKB > 0 {
		mark.cost = p.SizeKB * 1024 / 1000
		size = short(p.SizeKB) + " KB of 1024 bytes"
	}
	verified := "verified"
	if !p.Verified {
		verified = "recalled"
	}
	mark.title = fmt.Sprintf("published, %s (%s): %s %s, %s; of %s", plugins.Line(p.Source), verified, plugins.Line(p.Metric), short(p.Value), size, name(n))
	return mark
}

func hasPublished(marks []mark) bool {
	for _, m := range marks {
		if len(m.published) > 0 {
			return true
		}
	}
	return false
}

func networks(n int) string {
	if n == 1 {
		return "1 network"
	}
	return fmt.Sprintf("%d networks", n)
}
