// Package plot draws a report: scores against memory and energy, learning curves,
// energy and memory by part. It draws from a [reports.Report] alone, with gonum's plot.
//
// [Draw] makes the figures of a kind: one for each task and metric. A [Figure] is written as a
// file (SVG, PNG) or into a page (Inline). The same report gives the same bytes.
//
// A quantizer looks the same in all figures of a report. The shape of its marks and the dashes
// of its lines tell it apart, as well as its colour; the title of each mark has its network
// and value. Names come from suite files and are written as text, whatever they contain.
package plot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"bittern/plugins"
	"bittern/reports"
)

// Kind is a kind of plot.
type Kind struct {
	Name  string // for flags
	About string // what it shows, in one line

	draw func(*reports.Report) (figures []Figure, out leftOut)
}

// Curves is the kind that draws training losses too, where the report has read them
// ([reports.Report.ReadTraining]).
const Curves = "curves"

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{
		{Curves, "validation scores over the training steps, and the training loss, a line for each network", curves},
		{"memory", "the deployable score against all that is packed, with the Pareto front and what was published", memory},
		{"energy", "the score as each backend computes it against the energy of a time step, with the Pareto front", energy},
		{"parts", "energy and memory of each network on each backend by part, as stacked bars", byPart},
	}
}

// Find returns the kind with this name. If there is none, the error is a [*plugins.Problem].
func Find(name string) (Kind, error) {
	var names []string
	for _, k := range Kinds() {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return Kind{}, plugins.Problemf("there is no plot %q%s; use one of %s", name, plugins.DidYouMean(name, names), strings.Join(names, ", "))
}

// Draw makes all figures of a kind. If some of them cannot be drawn, missing says which and
// why; otherwise it is empty. If none can be drawn, or the kind does not exist, the error is a
// [*plugins.Problem] that says why.
func Draw(r *reports.Report, kind string) (figures []Figure, missing string, err error) {
	k, err := Find(kind)
	if err != nil {
		return nil, "", err
	}
	figures, out := k.draw(r)
	if len(figures) == 0 {
		reason := cmp.Or(out.reason(), "it was deployed on no backend")
		if len(r.Networks) == 0 {
			reason = "no experiment of it is finished"
		}
		return nil, "", plugins.Problemf("the suite %s has nothing to draw as %s: %s", r.Suite, kind, reason)
	}
	for i := range figures {
		f := &figures[i]
		f.Kind = kind
		id := slug(kind + "-" + f.ID)
		f.ID = id
		for n := 2; slices.ContainsFunc(figures[:i], func(other Figure) bool { return other.ID == f.ID }); n++ {
			f.ID = fmt.Sprintf("%s-%d", id, n)
		}
	}
	return figures, strings.TrimSpace(out.sentence()), nil
}

// slug is text of a–z, 0–9 and - alone.
func slug(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(c rune) bool {
		return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c)
	})
	return strings.Join(words, "-")
}

// subject is what one figure is about: networks of one task whose scores have one metric.
type subject struct {
	task, metric string
	networks     []*reports.Network
}

// subjects returns the subjects of a report, in the order of its networks.
func subjects(r *reports.Report) []subject {
	var all []subject
	for _, n := range r.Networks {
		at := slices.IndexFunc(all, func(s subject) bool { return s.task == n.Task && s.metric == n.Metric })
		if at < 0 {
			at = len(all)
			all = append(all, subject{task: n.Task, metric: n.Metric})
		}
		all[at].networks = append(all[at].networks, n)
	}
	return all
}

// backends returns the backends that networks were deployed on, in the order of the report.
func (s subject) backends() []string {
	var labels []string
	for _, n := range s.networks {
		for _, d := range n.Deployments {
			if !slices.Contains(labels, d.Backend) {
				labels = append(labels, d.Backend)
			}
		}
	}
	return labels
}

// on calls do with each network that was deployed on the backend, and with that deployment.
func (s subject) on(backend string, do func(*reports.Network, *reports.Deployment)) {
	for _, n := range s.networks {
		for i := range n.Deployments {
			if n.Deployments[i].Backend == backend {
				do(n, &n.Deployments[i])
			}
		}
	}
}

// leftOut lists what is not shown, by reason: the networks and seeds that a figure lacks, or
// the figures that a kind lacks.
type leftOut struct {
	reasons []string
	names   map[string][]string
}

func (l *leftOut) add(name, reason string) {
	if l.names == nil {
		l.names = make(map[string][]string)
	}
	reason = cmp.Or(plugins.Line(reason), "no reason is given")
	if _, ok := l.names[reason]; !ok {
		l.reasons = append(l.reasons, reason)
	}
	l.names[reason] = append(l.names[reason], name)
}

// join adds what another list has.
func (l *leftOut) join(other leftOut) {
	for _, reason := range other.reasons {
		for _, name := range other.names[reason] {
			l.add(name, reason)
		}
	}
}

// sentence names all that was left out, as the end of a caption; it is empty if nothing was.
func (l *leftOut) sentence() string {
	var text strings.Builder
	for _, reason := range l.reasons {
		fmt.Fprintf(&text, " n/a: %s (%s).", strings.Join(l.names[reason], "; "), reason)
	}
	return text.String()
}

// reason says in short why everything was left out; it is empty if nothing was.
func (l *leftOut) reason() string {
	switch n := len(l.reasons); n {
	case 0:
		return ""
	case 1:
		return l.reasons[0]
	default:
		return fmt.Sprintf("%s; and %d more reasons", l.reasons[0], n-1)
	}
}
