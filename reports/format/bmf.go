package format

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"bittern/plugins"
	"bittern/reports"
)

// bmfName is how many bytes Bencher allows in the name of a benchmark
// (https://bencher.dev/docs/reference/bencher-metric-format/).
const bmfName = 1024

// measure is a metric of the Bencher Metric Format. Over several seeds its bounds are
// one standard deviation from the mean.
type measure struct {
	Value float64  `json:"value"`
	Lower *float64 `json:"lower_value,omitempty"`
	Upper *float64 `json:"upper_value,omitempty"`
}

// writeBMF writes Bencher Metric Format JSON, which bencher run --adapter json reads: a
// benchmark for each network, with its deployable score and its bytes, and one for the
// network on each backend. Latency is in nanoseconds, as Bencher's own measure of this
// name, and energy in nanojoules, both of a time step.
func writeBMF(w io.Writer, r *reports.Report, _ reports.View) error {
	if err := finished(r); err != nil {
		return err
	}
	benchmarks := make(map[string]map[string]measure)
	put := func(name string, measures map[string]measure) error {
		name = bounded(name)
		if _, twice := benchmarks[name]; twice {
			return plugins.Problemf("two networks or backends of the suite %s have the name %q in Bencher's format; give one of them another label", r.Suite, name)
		}
		benchmarks[name] = measures
		return nil
	}
	for _, n := range r.Networks {
		name := n.Task + "/" + n.ModelName() + "/" + n.Quantizer
		measures := map[string]measure{"weight-bytes": {Value: n.WeightBytes}, "deployed-bytes": {Value: n.DeployedBytes}}
		add(measures, "deployable-"+slug(n.Metric), n.Deployable, 1)
		add(measures, "paper-style-"+slug(n.Metric), n.PaperStyle, 1)
		if err := put(name, measures); err != nil {
			return err
		}
		for _, d := range n.Deployments {
			measures := make(map[string]measure)
			add(measures, "computed-"+slug(n.Metric), d.Metric, 1)
			add(measures, "latency", d.Seconds, 1e9)
			add(measures, "energy", d.Energy, 1e9)
			add(measures, "area", d.Area, 1)
			if d.Bytes != nil {
				measures["machine-bytes"] = measure{Value: *d.Bytes}
			}
			if len(measures) == 0 {
				continue
			}
			if err := put(name+"/"+d.Backend, measures); err != nil {
				return err
			}
		}
	}
	return encodeJSON(w, benchmarks)
}

// add adds a figure times scale, where there is one.
func add(measures map[string]measure, name string, f reports.Figure, scale float64) {
	if f.Mean == nil {
		return
	}
	m := measure{Value: *f.Mean * scale}
	if f.Std != nil {
		m.Lower, m.Upper = new((*f.Mean-*f.Std)*scale), new((*f.Mean+*f.Std)*scale)
	}
	measures[name] = m
}

// bounded is the name of a benchmark.
func bounded(name string) string {
	name = plugins.Line(name)
	for len(name) > bmfName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}

// slug is the lower-case letters and digits of a text, with a hyphen for all between.
func slug(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(c rune) bool {
		return c >= utf8.RuneSelf || !unicode.IsLetter(c) && !unicode.IsDigit(c)
	})
	return strings.Join(words, "-")
}
