package schedule

import (
	"fmt"
	"math"
	"time"

	"github.com/dustin/go-humanize"

	"bittern/harness/experiment"
)

// figures are what is told of an experiment under way, in words; what is not known is
// empty.
type figures struct {
	stage string // and the step, if it trains
	loss  string
	best  string
	speed string
	left  string
}

func (r *running) figures(now time.Time) figures {
	p := r.at
	f := figures{stage: string(p.Stage), left: estimate(now.Sub(r.started), r.share-r.found, 1-r.share)}
	switch p.Stage {
	case experiment.Training:
		f.stage = fmt.Sprintf("step %d of %d", p.Step, p.Steps)
		f.loss = fmt.Sprintf("loss %.3f bits", p.Loss/math.Ln2)
		f.speed = perSecond(r.speed, r.spec.Loaded.Unit)
	case experiment.Resuming, experiment.Validating:
		f.stage = fmt.Sprintf("%s at step %d of %d", p.Stage, p.Step, p.Steps)
	case experiment.Deploying:
		f.stage = "deploying on " + p.Backend
	}
	if p.Best != nil && p.Metric != "" {
		f.best = fmt.Sprintf("best %.3f %s", *p.Best, p.Metric)
	}
	return f
}

// perSecond is a speed such as "14.2k characters/s".
func perSecond(speed float64, unit string) string {
	if speed <= 0 || math.IsInf(speed, 0) {
		return ""
	}
	value, prefix := humanize.ComputeSI(speed)
	return fmt.Sprintf("%s%s %s/s", humanize.FtoaWithDigits(value, 1), prefix, unit)
}
