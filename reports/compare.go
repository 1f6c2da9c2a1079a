package reports

import (
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"bittern/harness/metric"
)

// fullPrecision is the number of bits of a weight that is not quantized.
const fullPrecision = 32

// significance is the probability from which a difference counts as chance.
const significance = 0.05

// compare compares each network with the full-precision network of the same setting.
// networks[i] belongs to groups[i].
func compare(groups []*group, networks []*Network) {
	for i, n := range networks {
		switch bits := n.BitsPerWeight; {
		case bits.Mean == nil:
			n.FullPrecision.Missing = bits.Missing
		case *bits.Mean == fullPrecision:
			n.compareWith(n)
		default:
			if at := reference(groups, networks, i); at >= 0 {
				n.compareWith(networks[at])
			} else {
				n.FullPrecision.Missing = "no network of this task, model and normalization with 32-bit recurrent weights is finished"
			}
		}
	}
}

// reference returns the index of the full-precision network that network i is compared with,
// or −1 if there is none. It has the same task, model settings and normalization; of several,
// it is the one whose training differs least.
func reference(groups []*group, networks []*Network, i int) int {
	best, fewest := -1, math.MaxInt
	for j, n := range networks {
		if bits := n.BitsPerWeight.Mean; bits == nil || *bits != fullPrecision || !sameSetting(groups[i], groups[j]) {
			continue
		}
		if d := differences(groups[i].settings, groups[j].settings); d < fewest {
			best, fewest = j, d
		}
	}
	return best
}

// sameSetting says whether two groups are of the same task and of models with the same
// settings, their normalization among them.
func sameSetting(a, b *group) bool {
	if a.first.Task != b.first.Task || a.first.Model != b.first.Model || a.first.Metric != b.first.Metric || !slices.Equal(a.first.Settings, b.first.Settings) {
		return false
	}
	for _, one := range []*group{a, b} {
		for key := range one.settings {
			if (slices.Contains([]string{"task", "data", "sha256"}, key) || strings.HasPrefix(key, "options.")) && a.settings[key] != b.settings[key] {
				return false
			}
		}
	}
	return true
}

// differences counts the settings in which two groups differ, except those of the
// quantizer.
func differences(a, b map[string]string) int {
	count := 0
	for key, value := range a {
		if other, ok := b[key]; (!ok || other != value) && !strings.HasPrefix(key, "quantizer.") {
			count++
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok && !strings.HasPrefix(key, "quantizer.") {
			count++
		}
	}
	return count
}

func (n *Network) compareWith(full *Network) {
	c := FullPrecision{Itself: n == full, WeightRatio: ratio(&full.WeightBytes, &n.WeightBytes), DeployedRatio: ratio(&full.DeployedBytes, &n.DeployedBytes)}
	if a, b := n.Deployable, full.Deployable; !c.Itself && a.Mean != nil && b.Mean != nil {
		c.Delta, c.P = new(*a.Mean-*b.Mean), chance(a, b)
	}
	n.FullPrecision = c
	for i := range n.Deployments {
		d := &n.Deployments[i]
		at := slices.IndexFunc(full.Deployments, func(other Deployment) bool { return other.Backend == d.Backend })
		if at >= 0 {
			other := full.Deployments[at]
			d.EnergyRatio, d.SecondsRatio = ratio(other.Energy.Mean, d.Energy.Mean), ratio(other.Seconds.Mean, d.Seconds.Mean)
			d.RecurrentEnergyRatio = ratio(other.RecurrentEnergy.Mean, d.RecurrentEnergy.Mean)
		}
	}
}

// ratio returns a over b, or nil if either is not known.
func ratio(a, b *float64) *float64 {
	if a == nil || b == nil || *b == 0 {
		return nil
	}
	return new(*a / *b)
}

// chance returns the probability that the means of two samples from populations with equal
// means differ at least as much as these, by Welch's test (B. L. Welch, Biometrika 34, 1947).
// It is nil if one figure has a single value, whose spread is not known.
func chance(a, b Figure) *float64 {
	if a.Std == nil || b.Std == nil {
		return nil
	}
	difference := math.Abs(*a.Mean - *b.Mean)
	va, vb := *a.Std**a.Std/float64(a.N), *b.Std**b.Std/float64(b.N)
	switch {
	case difference == 0:
		return new(1.0)
	case va+vb == 0:
		return new(0.0)
	}
	freedom := (va + vb) * (va + vb) / (va*va/float64(a.N-1) + vb*vb/float64(b.N-1))
	t := distuv.StudentsT{Sigma: 1, Nu: freedom}
	return new(2 * t.Survival(difference/math.Sqrt(va+vb)))
}

// indistinguishable says whether the seeds cannot tell the network from full precision.
func (c FullPrecision) indistinguishable() bool { return c.P != nil && *c.P >= significance }

// markFrontiers marks the networks that no other network of the same task and metric beats.
// Where it is not known whether more or less of a metric is better, no network is marked.
func markFrontiers(networks []*Network) {
	type kind struct{ task, metric string }
	ranked := make(map[kind][]*Network)
	for _, n := range networks {
		if n.ranked() {
			k := kind{n.Task, n.Metric}
			ranked[k] = append(ranked[k], n)
		}
	}
	for k, alike := range ranked {
		points := make([]Point, len(alike))
		for i, n := range alike {
			points[i] = Point{Score: *n.Deployable.Mean, Cost: n.DeployedBytes}
		}
		for i, on := range Front(metric.Metric(k.metric), points) {
			alike[i].Frontier = on
		}
	}
}

func (n *Network) ranked() bool {
	return n.Deployable.Mean != nil && slices.Contains(metric.All, metric.Metric(n.Metric))
}

// Point is a score and its cost, such as bytes. A lower cost is better.
type Point struct{ Score, Cost float64 }

// Front says for each point whether it is on the Pareto front: no other point is at least as
// good in both score and cost, and better in one. The metric is one of [metric.All].
func Front(m metric.Metric, points []Point) []bool {
	front := make([]bool, len(points))
	for i, p := range points {
		front[i] = !slices.ContainsFunc(points, func(other Point) bool {
			if m.Better(p.Score, other.Score) || p.Cost < other.Cost {
				return false
			}
			return m.Better(other.Score, p.Score) || other.Cost < p.Cost
		})
	}
	return front
}
