package plot

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bittern/harness/metric"
	"bittern/plugins"
	"bittern/reports"
)

// name is a network's in full, within its task.
func name(n *reports.Network) string {
	return strings.Join(append([]string{plugins.Line(n.Quantizer)}, parts(n)...), ", ")
}

// parts are what a network has beside its quantizer; those that it does not have are
// left out.
func parts(n *reports.Network) []string {
	return slices.DeleteFunc(plugins.Lines([]string{n.Model, n.Setting, n.Normalization}), func(part string) bool { return part == "" })
}

// variant is what tells a network from the others of its quantizer in a figure: model,
// setting and normalization, those that all have in common left out.
func variant(n *reports.Network, all []*reports.Network) string {
	var differing []string
	for _, of := range []func(*reports.Network) string{
		func(n *reports.Network) string { return n.Model },
		func(n *reports.Network) string { return n.Setting },
		func(n *reports.Network) string { return n.Normalization },
	} {
		if slices.ContainsFunc(all, func(other *reports.Network) bool { return of(other) != of(n) }) && of(n) != "" {
			differing = append(differing, plugins.Line(of(n)))
		}
	}
	return strings.Join(differing, ", ")
}

// figure writes "1.702 ± 0.004 (n=3)", scaled.
func figure(f reports.Figure, scale float64) string {
	text := short(*f.Mean * scale)
	if f.Std != nil {
		text += " ± " + short(*f.Std*scale)
	}
	return fmt.Sprintf("%s (n=%d)", text, f.N)
}

// short writes a number with four digits, without an exponent where it need not have one.
func short(f float64) string {
	if f >= 1000 && f < 1e9 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(f, 'g', 4, 64)
}

// ranked says whether the direction of a metric is known.
func ranked(name string) bool { return slices.Contains(metric.All, metric.Metric(name)) }

// direction says in which one a score improves, as in "BPC (lower is better)".
func direction(name string) string {
	switch {
	case !ranked(name):
		return plugins.Line(name)
	case metric.Metric(name).HigherIsBetter():
		return name + " (higher is better)"
	}
	return name + " (lower is better)"
}

// ratios says whether a score may stand on a logarithmic axis: not one of 100.
func ratios(name string) bool {
	return !slices.Contains([]metric.Metric{metric.Accuracy, metric.ErrorRate}, metric.Metric(name))
}

func doubted(doubts []reports.Doubt) string {
	if len(doubts) == 0 {
		return ""
	}
	return "; in doubt: " + plugins.Line(doubts[0].Reason)
}
