package schedule

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/experiment"
	"bittern/harness/internal/terminal"
	"bittern/harness/metric"
	"bittern/harness/suite"
	"bittern/harness/task"
)

// moment is a clock that tests set.
type moment struct{ now time.Time }

func (m *moment) at(seconds int) { m.now = time.Unix(int64(seconds), 0) }

// shown is a display with a clock, and what it has written as plain lines.
func shown(experiments, jobs int) (*Display, *moment, *bytes.Buffer) {
	var out bytes.Buffer
	clock := &moment{time.Unix(0, 0)}
	return newDisplay(terminal.New(&out), make([]experiment.Work, experiments), jobs, func() time.Time { return clock.now }), clock, &out
}

func named(task_, model, quantizer string, seed uint64) *experiment.Spec {
	return &experiment.Spec{
		Task: suite.Task{Label: task_}, Loaded: task.Loaded{Unit: "characters"},
		Model: experiment.Plugin{Label: model}, Quantizer: experiment.Plugin{Label: quantizer}, Seed: seed,
	}
}

func TestPlainLinesComeLessAndLessOften(t *testing.T) {
	t.Parallel()
	d, clock, out := shown(2, 1)
	best := 1.5
	d.begin(0, named("text", "net", "bits", 9))
	for _, at := range []struct {
		second int
		p      experiment.Progress
	}{
		{1, experiment.Progress{Stage: experiment.Starting}},
		{4, experiment.Progress{Stage: experiment.Training, Step: 1, Steps: 100, Loss: math.Ln2, Speed: 12345}},
		{10, experiment.Progress{Stage: experiment.Training, Step: 50, Steps: 100, Loss: 2 * math.Ln2, Speed: 12345}},
		{16, experiment.Progress{Stage: experiment.Training, Step: 60, Steps: 100, Loss: math.Ln2, Speed: 12345}}, // too early
		{20, experiment.Progress{Stage: experiment.Validating, Step: 100, Steps: 100, Best: &best, Metric: metric.BPC}},
		{30, experiment.Progress{Stage: experiment.Testing, Step: 100, Steps: 100}}, // too early
		{40, experiment.Progress{Stage: experiment.Deploying, Step: 1, Steps: 2, Backend: "chip"}},
	} {
		clock.at(at.second)
		d.update(0, at.p)
	}
	clock.at(42)
	d.end(0, nil, nil)
	d.Line("a warning")
	// At 10 s, half of the 85 % that training counts are done: 0.425 of 2 experiments.
	want := strings.Join([]string{
		"[0/2] text, net, bits, seed 9: step 50 of 100, loss 2.000 bits, 12.3k characters/s, about 14s left; suite about 37s left",
		"[0/2] text, net, bits, seed 9: validating at step 100 of 100, best 1.500 BPC, about 4s left; suite about 27s left",
		"[0/2] text, net, bits, seed 9: deploying on chip, about 2s left; suite about 44s left",
		"[1/2] text, net, bits, seed 9: done; suite about 42s left",
		"a warning", "",
	}, "\n")
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// What earlier sittings did is progress, but says nothing of this one's speed.
func TestTimeLeftAfterResuming(t *testing.T) {
	t.Parallel()
	d, clock, out := shown(3, 1)
	d.begin(0, named("a", "b", "c", 1)) // an experiment that was finished before
	d.end(0, nil, nil)
	d.begin(1, named("a", "b", "c", 2))
	d.update(1, experiment.Progress{Stage: experiment.Resuming, Step: 50, Steps: 100})
	clock.at(20)
	d.update(1, experiment.Progress{Stage: experiment.Training, Step: 75, Steps: 100, Loss: math.Ln2})
	// 25 steps of 85 % of an experiment in 20 s, so 94.1 s an experiment, of which 0.3625
	// is missing of the one and 1.3625 of all.
	if want := "step 75 of 100, loss 1.000 bits, about 34s left; suite about 2m left\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("got %q, want it to end in %q", out.String(), want)
	}
}

// A suite that is deployed again has nothing but its deployments to go by.
func TestTimeLeftWithoutTraining(t *testing.T) {
	t.Parallel()
	d, clock, out := shown(4, 1)
	d.begin(0, named("a", "b", "c", 1))
	d.update(0, experiment.Progress{Stage: experiment.Deploying, Step: 0, Steps: 10, Backend: "chip"})
	clock.at(10)
	d.update(0, experiment.Progress{Stage: experiment.Deploying, Step: 5, Steps: 10, Backend: "chip"})
	if want := "deploying on chip, about 10s left; suite about 1m10s left\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("got %q, want it to end in %q", out.String(), want)
	}
}

// A small experiment says how long a large one takes, and of one that is not known the mean is taken.
func TestTimeLeftGoesByWork(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	clock := &moment{time.Unix(0, 0)}
	work := []experiment.Work{{Steps: 6, Validations: 1, Freeze: 2, Deployments: 1}, {Steps: 20, Freeze: 60, Deployments: 10}, {}}
	d := newDisplay(terminal.New(&out), work, 1, func() time.Time { return clock.now })
	d.begin(0, named("a", "b", "c", 1))
	d.update(0, experiment.Progress{Stage: experiment.Training, Step: 1, Steps: 2})
	clock.at(10)
	d.update(0, experiment.Progress{Stage: experiment.Deploying, Step: 1, Steps: 1, Backend: "chip"})
	d.end(0, nil, nil)
	d.begin(1, named("d", "b", "c", 1))
	d.update(1, experiment.Progress{Stage: experiment.Training, Step: 1, Steps: 10})
	clock.at(30)
	d.update(1, experiment.Progress{Stage: experiment.Testing, Step: 10, Steps: 10})
	// 10 units of work of 10 + 90 + 50 took 10 s; then 20 took 20 s.
	for _, want := range []string{"[1/3] a, b, c, seed 1: done; suite about 2m left\n", "freezing and testing, about 1m10s left; suite about 2m left\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %q, want %q in it", &out, want)
		}
	}
	if got, want := d.total()-d.progress(), 120.0; got != want {
		t.Errorf("%v units of work are left, want %v", got, want)
	}
	d.end(1, nil, nil)
	d.begin(2, named("e", "b", "c", 1))
	d.end(2, nil, nil)
	if want := "[3/3] e, b, c, seed 1: done\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("got %q, want it to end in %q", &out, want)
	}
}

// An experiment that another process has is put off, and is then neither done nor under
// way.
func TestProgressOfAnExperimentThatIsPutOff(t *testing.T) {
	t.Parallel()
	d, _, out := shown(2, 1)
	d.begin(0, named("a", "b", "c", 1))
	d.update(0, experiment.Progress{Stage: experiment.Resuming, Step: 50, Steps: 100})
	d.end(0, nil, errors.New("held"))
	if d.done != 0 || d.found != 0 || d.progress() != 0 || out.Len() > 0 {
		t.Errorf("done %d, found %v, progress %v, text %q; want nothing of all", d.done, d.found, d.progress(), out)
	}
}

// training is a display of two experiments of eight that are under way.
func training(jobs int) *Display {
	d, clock, _ := shown(8, jobs)
	d.done, d.failed, d.made = 2, 1, 2
	best := 1.612
	for i := range min(jobs, 2) {
		d.begin(i, named("warpeace", "lstm-512", "stochastic-ternary", uint64(i+1)))
		d.update(i, experiment.Progress{Stage: experiment.Training, Step: 12000, Steps: 50000, Loss: 2 * math.Ln2, Speed: 14230, Best: &best, Metric: metric.BPC})
	}
	clock.at(600)
	return d
}

func TestStatusLines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		jobs, columns int
		want          []string
	}{
		{1, 200, []string{
			"[2/8]  warpeace, lstm-512, stochastic-ternary, seed 1  1 failed  28 %  suite 26m left",
			"step 12000 of 50000  loss 2.000 bits  best 1.612 BPC  14.2k characters/s  39m left",
		}},
		{1, 79, []string{
			"[2/8]  …e, lstm-512, stochastic-ternary, seed 1  1 failed  28 %  suite 26m left",
			"step 12000 of 50000  loss 2.000 bits  best 1.612 BPC  39m left",
		}},
		{1, 39, []string{
			"[2/8]  …chastic-ternary, seed 1",
			"step 12000 of 50000  39m left",
		}},
		{1, 19, []string{
			"[2/8]  …ary, seed 1",
			"step 12000 of 50000",
		}},
		{2, 200, []string{
			"[2/8]  2 running  1 failed  30 %  suite 23m left",
			"warpeace, lstm-512, stochastic-ternary, seed 1  step 12000 of 50000  loss 2.000 bits  best 1.612 BPC  14.2k characters/s  39m left",
			"warpeace, lstm-512, stochastic-ternary, seed 2  step 12000 of 50000  loss 2.000 bits  best 1.612 BPC  14.2k characters/s  39m left",
		}},
		{2, 79, []string{
			"[2/8]  2 running  1 failed  30 %  suite 23m left",
			"…chastic-ternary, seed 1  step 12000 of 50000  loss 2.000 bits  39m left",
			"…chastic-ternary, seed 2  step 12000 of 50000  loss 2.000 bits  39m left",
		}},
		{2, 19, []string{"[2/8]  1 failed", "…eed 1  step 12000…", "…eed 2  step 12000…"}},
	} {
		t.Run(fmt.Sprintf("%d jobs, %d columns", test.jobs, test.columns), func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, training(test.jobs).lines(test.columns)); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSharesOnlyGrow(t *testing.T) {
	t.Parallel()
	for _, trains := range []bool{true, false} {
		last := -1.0
		for _, p := range []experiment.Progress{
			{Stage: experiment.Starting},
			{Stage: experiment.Training, Step: 1, Steps: 2},
			{Stage: experiment.Validating, Step: 2, Steps: 2},
			{Stage: experiment.Testing, Step: 2, Steps: 2},
			{Stage: experiment.Deploying, Step: 0, Steps: 4},
			{Stage: experiment.Deploying, Step: 4, Steps: 4},
		} {
			if !trains && (p.Stage == experiment.Training || p.Stage == experiment.Validating) {
				continue
			}
			now := share(p, usual, trains)
			if now < last || now > 1 {
				t.Errorf("share of %+v = %v after %v, want no less and at most 1", p, now, last)
			}
			last = now
		}
		if last != 1 {
			t.Errorf("share at the end = %v, want 1", last)
		}
	}
}

func TestShortTimes(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		1499 * time.Millisecond: "1s", 119 * time.Second: "1m59s", 150 * time.Second: "2m", 59*time.Minute + 40*time.Second: "1h00m",
		133 * time.Minute: "2h13m", 47*time.Hour + 59*time.Minute: "47h59m", 76*time.Hour + 40*time.Minute: "3d05h",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%s) = %q, want %q", d, got, want)
		}
	}
}
