package schedule

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/experiment"
	"bittern/harness/metric"
	"bittern/harness/suite"
)

func TestPlainLinesComeEveryFewSecondsWithTheRemainingTime(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(0, 0)
	d := NewDisplay(&out, 0, 2)
	d.clock = func() time.Time { return now }
	d.started, d.written = now, now
	spec := &experiment.Spec{
		Task: suite.Task{Label: "text"}, Model: experiment.Plugin{Label: "net"}, Quantizer: experiment.Plugin{Label: "bits"}, Seed: 9,
	}
	best := 1.5
	d.begin(0, spec)
	for _, at := range []struct {
		second int
		p      experiment.Progress
	}{
		{1, experiment.Progress{Stage: experiment.Starting}},
		{4, experiment.Progress{Stage: experiment.Training, Step: 1, Steps: 100, Loss: math.Ln2}},
		{10, experiment.Progress{Stage: experiment.Training, Step: 50, Steps: 100, Loss: 2 * math.Ln2}},
		{11, experiment.Progress{Stage: experiment.Training, Step: 60, Steps: 100, Loss: math.Ln2}},
		{20, experiment.Progress{Stage: experiment.Validating, Step: 100, Steps: 100, Best: &best, Metric: metric.BPC}},
		{30, experiment.Progress{Stage: experiment.Deploying, Step: 1, Steps: 2, Backend: "chip"}},
	} {
		now = time.Unix(int64(at.second), 0)
		d.update(0, at.p)
	}
	now = time.Unix(32, 0)
	d.end(0, nil, nil)
	d.Line("a warning")
	// At 10 s, half of the 85 % that training counts are done: 0.425 of 2 experiments.
	want := strings.Join([]string{
		"[0/2] text, net, bits, seed 9: training, step 50 of 100, loss 2.000 bits, about 37s left",
		"[0/2] text, net, bits, seed 9: validating, step 100 of 100, best validation 1.500 BPC, about 27s left",
		"[0/2] text, net, bits, seed 9: deploying on chip, about 33s left",
		"[1/2] text, net, bits, seed 9: done, about 32s left",
		"a warning", "",
	}, "\n")
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// What earlier sittings did is progress, but says nothing of this one's speed.
func TestTimeLeftAfterResuming(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(0, 0)
	d := NewDisplay(&out, 0, 3)
	d.clock, d.started, d.written = func() time.Time { return now }, now, now
	d.begin(0, &experiment.Spec{}) // an experiment that was finished before
	d.end(0, nil, nil)
	d.begin(1, &experiment.Spec{})
	d.update(1, experiment.Progress{Stage: experiment.Resuming, Step: 50, Steps: 100})
	now = time.Unix(20, 0)
	d.update(1, experiment.Progress{Stage: experiment.Training, Step: 75, Steps: 100, Loss: math.Ln2})
	// 25 steps of 85 % of an experiment in 20 s, so 94.1 s an experiment; 1.3625 experiments are missing.
	if want := "step 75 of 100, loss 1.000 bits, about 2m8s left\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("got %q, want it to end in %q", out.String(), want)
	}
}

func TestTheBarKeepsToItsLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	const width = 70
	d := NewDisplay(&out, width, 1)
	d.begin(0, &experiment.Spec{Task: suite.Task{Label: strings.Repeat("long ", 30)}})
	for range 2 { // it is drawn at most every 200 ms, with the share known before
		d.update(0, experiment.Progress{Stage: experiment.Training, Step: 3, Steps: 4})
		time.Sleep(250 * time.Millisecond)
	}
	d.update(0, experiment.Progress{Stage: experiment.Training, Step: 3, Steps: 4})
	d.Close()
	if !strings.Contains(out.String(), "63%") { // 3/4 of 85 %
		t.Errorf("the bar shows %q, want 63%%", out.String())
	}
	for line := range strings.SplitSeq(out.String(), "\r") {
		if n := len([]rune(line)); n > width {
			t.Errorf("a line of %d characters on a terminal of %d: %q", n, width, line)
		}
	}
}

func TestSharesOnlyGrow(t *testing.T) {
	t.Parallel()
	last := -1.0
	for _, p := range []experiment.Progress{
		{Stage: experiment.Starting},
		{Stage: experiment.Training, Step: 1, Steps: 2},
		{Stage: experiment.Validating, Step: 2, Steps: 2},
		{Stage: experiment.Testing, Step: 2, Steps: 2},
		{Stage: experiment.Deploying, Step: 0, Steps: 4},
		{Stage: experiment.Deploying, Step: 4, Steps: 4},
	} {
		now := share(p)
		if now < last || now > 1 {
			t.Errorf("share of %+v = %v after %v, want no less and at most 1", p, now, last)
		}
		last = now
	}
}
