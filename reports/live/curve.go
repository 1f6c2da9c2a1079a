package live

import (
	"bittern/harness/store"
	"bittern/reports"
)

// mostPoints bounds a curve: more points than a chart can show cost memory and say
// nothing. Neighbours are merged beyond it, so a curve has between half of them and all.
const mostPoints = 512

// recentSteps is how many steps the speed is the mean of: few enough to follow a machine
// that becomes slower, enough not to jump.
const recentSteps = 50

// curve gathers the training loss of an experiment step by step.
type curve struct {
	follower store.StepFollower
	sums     []sum // of stride steps each, the last of fewer
	stride   int
	count    int
	last     store.Step
	recent   []float64 // seconds of the last steps
}

type sum struct {
	done uint64 // training steps at its end
	loss float64
	n    int
}

// read adds the steps that the files in an experiment's folder have by now.
func (c *curve) read(folder string) error {
	steps, afresh, err := c.follower.Read(folder)
	if err != nil {
		return err
	}
	if afresh {
		*c = curve{follower: c.follower}
	}
	for _, s := range steps {
		c.add(s)
	}
	return nil
}

func (c *curve) add(s store.Step) {
	c.stride = max(c.stride, 1)
	if n := len(c.sums); n == 0 || c.sums[n-1].n == c.stride {
		if n == mostPoints {
			c.merge()
		}
		c.sums = append(c.sums, sum{})
	}
	at := &c.sums[len(c.sums)-1]
	at.done, at.loss, at.n = s.Step+1, at.loss+s.Loss, at.n+1
	c.count++
	c.last = s
	if s.Seconds > 0 {
		c.recent = append(c.recent, s.Seconds)
		c.recent = c.recent[max(0, len(c.recent)-recentSteps):]
	}
}

// merge halves the curve.
func (c *curve) merge() {
	half := c.sums[:0]
	for i := 0; i < len(c.sums); i += 2 {
		a, b := c.sums[i], c.sums[i+1]
		half = append(half, sum{b.done, a.loss + b.loss, a.n + b.n})
	}
	c.sums, c.stride = half, 2*c.stride
}

func (c *curve) points() []reports.TrainingLoss {
	var points []reports.TrainingLoss
	for _, s := range c.sums {
		points = append(points, reports.TrainingLoss{Step: s.done, Loss: s.loss / float64(s.n)})
	}
	return points
}

// seconds is the mean of the last steps; 0 where it is not known.
func (c *curve) seconds() float64 {
	if len(c.recent) == 0 {
		return 0
	}
	sum := 0.0
	for _, s := range c.recent {
		sum += s
	}
	return sum / float64(len(c.recent))
}
