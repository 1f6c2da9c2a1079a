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

// parts returns the names of a network besides its quantizer, without empty ones.
func parts(n *reports.Network) []string {
	normalization := ""
	switch n.Normalization {
	case "":
	case "none":
		normalization = "no normalization"
	default:
		normalization = n.Normalization + " normalization"
	}
	return slices.DeleteFunc(plugins.Lines([]string{n.Model, n.Setting, normalization}), func(part string) bool { return part == "" })
}

// variants returns what tells each network from the others of its quantizer: normalization,
// model or setting, and more than one of these only if one is not enough. They are empty if
// no quantizer has two networks.
func variants(all []*reports.Network) map[*reports.Network]string {
	normalization := func(n *reports.Network) string { return n.Normalization }
	model := func(n *reports.Network) string { return n.Model }
	setting := func(n *reports.Network) string { return n.Setting }
	type attribute = func(*reports.Network) string
	labels := make(map[*reports.Network]string)
	for _, attributes := range [][]attribute{{}, {normalization}, {model}, {model, normalization}, {setting}, {normalization, setting}, {model, setting}, {model, normalization, setting}} {
		seen := make(map[[2]string]bool)
		for _, n := range all {
			var parts []string
			for _, of := range attributes {
				if of(n) != "" {
					parts = append(parts, plugins.Line(of(n)))
				}
			}
			labels[n] = strings.Join(parts, ", ")
			seen[[2]string{n.Quantizer, labels[n]}] = true
		}
		if len(seen) == len(all) {
			break
		}
	}
	return labels
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

// direction says in which direction a score improves, as in "BPC (lower is better)".
func direction(name string) string {
	switch {
	case !ranked(name):
		return plugins.Line(name)
	case metric.Metric(name).HigherIsBetter():
		return name + " (higher is better)"
	}
	return name + " (lower is better)"
}

// ratios says whether a score may be drawn on a logarithmic axis, which percentages may not.
func ratios(name string) bool {
	return !slices.Contains([]metric.Metric{metric.Accuracy, metric.ErrorRate}, metric.Metric(name))
}

func doubted(doubts []reports.Doubt) string {
	if len(doubts) == 0 {
		return ""
	}
	return "; in doubt: " + plugins.Line(doubts[0].Reason)
}

// labelled is a network's name among others: its quantizer, and what tells it from
// others of that.
func labelled(n *reports.Network, variant string) string {
	if variant == "" {
		return plugins.Line(n.Quantizer)
	}
	return plugins.Line(n.Quantizer) + ", " + variant
}
